"""The exercise: its network, its training, its page, and what its filters see."""
