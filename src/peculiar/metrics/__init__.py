"""Numbers in, scores out: labels and probabilities, intervals, calibration, prediction sets."""
