"""Networks in PyTorch, one architecture per module.

Inputs are float32 (n, 3, height, width) from 0 to 1, and outputs are logits (n, classes).
"""
