"""Pixels: decoded, cropped, measured, compared."""
