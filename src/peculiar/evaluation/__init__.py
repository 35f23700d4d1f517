"""How good a model is on labelled galaxies."""
