"""Sizes that networks, their pictures and their settings have in common."""

BODY = "lite"
"""The body of the networks that training can go on from."""

LITE_WIDTH = 32
"""Filters of the first convolution in EfficientNet-lite0 itself."""

WIDENING = {"lite": 12, "residual": 8}
"""By body, how many times as many values as filters of the first layer the embedding has."""

MARGIN = 1.5
"""How many times as wide as the network's square the pictures to augment are; 1.5 leaves room to turn the square."""
