"""Simulated galaxies with known features, as surveys of the sky show them."""

from peculiar.simulation.draw import ALL_FEATURES, Simulated, View, simulate_galaxies, simulate_views

__all__ = ["ALL_FEATURES", "Simulated", "View", "simulate_galaxies", "simulate_views"]
