"""Training and exporting of networks, with PyTorch."""
