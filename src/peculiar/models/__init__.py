"""The model file: prediction, calibration, new questions, explanations, without PyTorch."""
