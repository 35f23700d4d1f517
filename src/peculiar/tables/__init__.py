"""Tables of all formats: read, written, converted."""
