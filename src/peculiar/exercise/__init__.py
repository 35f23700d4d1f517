"""The exercise: its network, its training, its page, its feature maps."""
