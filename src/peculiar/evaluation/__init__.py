"""Scores of a model on labelled galaxies."""
