"""The catalogue: writing, opening, searching, teaching."""
