"""Pixels: decoded, framed, cut out of mosaics, measured, compared."""
