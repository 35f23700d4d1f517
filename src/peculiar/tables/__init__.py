"""Tables of every format: read, written, converted."""
