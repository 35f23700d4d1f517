"""The labelling desk in the browser: galaxies shown one by one, answers kept in a database."""
