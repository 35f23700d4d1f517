"""The catalogue: written, opened, searched, learned from."""
