"""Numbers in, scores out: scores, intervals, calibration, prediction sets."""
