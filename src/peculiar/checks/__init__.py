"""Problems of a data set."""
