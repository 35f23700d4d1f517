"""The model file: run, calibrated, extended, explained, without PyTorch."""
