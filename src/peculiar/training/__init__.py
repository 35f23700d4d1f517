"""Training of the network that ships and of others like it, with PyTorch."""
