"""The exercise: its training, its page, and what its filters see."""
