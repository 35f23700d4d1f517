"""Sizes shared by networks, pictures and settings."""

BODY = "lite"
"""The body of networks that can be trained further."""

LITE_WIDTH = 32
"""Filters of the first convolution in EfficientNet-lite0 itself."""

WIDENING = {"lite": 12, "residual": 8}
"""Size of the embedding relative to the number of filters of the first layer, by body."""

TIMM, HUB = "timm:", "hf-hub:"
"""Prefixes of the names of bodies from timm, and from the hub of Hugging Face."""

MARGIN = 1.5
"""Side of the pictures to augment relative to the side of the network's input; 1.5 leaves room for rotation."""
