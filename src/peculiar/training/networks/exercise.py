"""The exercise's network, exactly: two convolutions, two poolings, two dense layers, 7,164 parameters."""

import torch
from torch import Tensor, nn

from peculiar.errors import UsageError


class ReferenceNet(nn.Module):
    """The network of the exercise.

    Convolution 8 filters 3 x 3 stride 2, ReLU, max pooling 2 x 2 stride 2, the same two again, flatten, dense 16, ReLU,
    dense to the classes. Weights begin as Keras's do: Glorot uniform (Glorot & Bengio 2010, equation 16), zero biases.

    Parameters
    ----------
    classes : int
        Number of classes; the exercise's is 4.
    size : int
        Side of the pictures in pixels, at least 21; the exercise's is 128.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1; fastest where the memory is laid out channels-last.
    Output shape: float (n, classes), logits. The exercise's softmax is taken outside, with the loss.
    """

    def __init__(self, classes: int = 4, size: int = 128) -> None:
        super().__init__()
        side = _side_after(size)
        if side < 1:
            message = f"the reference network needs pictures of at least 21 x 21 pixels, received {size}"
            raise UsageError(message)
        # ReLU behind the pooling gives the same values as before it, and has a quarter as many to look at.
        self.conv2d = nn.Conv2d(3, 8, 3, stride=2)
        self.max_pooling2d = nn.MaxPool2d(2, stride=2)
        self.conv2d_1 = nn.Conv2d(8, 8, 3, stride=2)
        self.max_pooling2d_1 = nn.MaxPool2d(2, stride=2)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(side * side * 8, 16)
        self.dense_1 = nn.Linear(16, classes)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)
        for layer in (self.conv2d, self.conv2d_1):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits of pictures."""
        hidden = self.max_pooling2d(self.conv2d(pictures)).relu_()
        hidden = self.max_pooling2d_1(self.conv2d_1(hidden)).relu_()
        # Keras flattens (row, column, filter), so this does too: the dense weights are then the same in both.
        hidden = self.dense(self.flatten(hidden.permute(0, 2, 3, 1))).relu_()
        logits: Tensor = self.dense_1(hidden)
        return logits


def _side_after(size: int) -> int:
    """Return the side of the last feature maps: each stage takes a 3 x 3 filter in steps of 2, then halves."""
    for _ in range(2):
        size = ((size - 3) // 2 + 1) // 2
    return size
