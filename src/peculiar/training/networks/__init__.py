"""Networks in PyTorch, one architecture a file.

Inside, pictures are float32 (n, 3, height, width) from 0 to 1, and what comes out are logits (n, classes).
"""
