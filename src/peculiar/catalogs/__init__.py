"""The catalogue: made of pictures, opened, searched, learned from."""
