"""Scores, intervals, calibration, prediction sets."""
