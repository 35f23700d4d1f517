"""Features of ImageNet's network as hints: training on galaxies then does not forget them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from peculiar.training.dimensions import LITE_WIDTH
from peculiar.training.networks.bodies import lite_body, load_imagenet

HINTS = 320
"""Numbers of these features: the filters before the last convolution of EfficientNet-lite0."""


class ImageNetHints(nn.Module):
    """EfficientNet-lite0 as ImageNet left it, frozen.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1. Output: the means of its last maps, float (n, `HINTS`).
    """

    def __init__(self) -> None:
        super().__init__()
        body = lite_body(LITE_WIDTH)
        load_imagenet(body)
        self.body = body[:-1].requires_grad_(requires_grad=False).eval()

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features of pictures."""
        maps: Tensor = self.body(pictures)
        return maps.mean(dim=(2, 3)).float()


def hint_loss(predicted: Tensor, features: Tensor) -> Tensor:
    """Return 1 minus the cosine between predicted and actual features, mean over the galaxies.

    A linear layer predicts the features of another network from the embedding, as in FitNets (Romero et al. 2015,
    arXiv:1412.6550, eq. 3), with the cosine in the place of the squared distance, since features differ in scale.

    Parameters
    ----------
    predicted, features : Tensor of float, shape (n, d)

    Examples
    --------
    >>> import torch
    >>> float(hint_loss(torch.ones(2, 3), 5 * torch.ones(2, 3)).round(decimals=6))
    0.0
    """
    return (1 - functional.cosine_similarity(predicted, features, dim=1)).mean()
