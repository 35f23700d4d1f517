"""Verification of a selection by people: purity, completeness, and the threshold that keeps a promise."""
