"""How soon is a kind of galaxy found from few labels, and how far is that the network's merit?

    python benchmarks/score_discovery.py [--sets lenses stamps ...] [--labels 5 20 100] [--draws 10] [--model MODEL]
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import torch
from torch import nn

from peculiar.files.claims import file_digest
from peculiar.files.writing import cache_folder, replacing
from peculiar.images.decode import Framing, decode_picture
from peculiar.models.model_file import Model
from peculiar.training.dimensions import LITE_WIDTH
from peculiar.training.networks.bodies import imagenet_file, lite_body, load_imagenet

BATCH = 64


class ImageNet:
    """EfficientNet-lite0 as ImageNet left it: the 1,280 numbers before its classes, mean over views.

    Parameters
    ----------
    side : int
        Of the pictures that it sees, in pixels; it was trained with 224.
    views : int
    """

    def __init__(self, side: int, views: int) -> None:
        body = lite_body(LITE_WIDTH)
        load_imagenet(body)
        weights = torch.load(imagenet_file(), weights_only=True)
        last = nn.Conv2d(320, 1280, 1)
        scale = weights["_bn1.weight"] / (weights["_bn1.running_var"] + 1e-3).sqrt()
        with torch.no_grad():
            last.weight.copy_(weights["_conv_head.weight"] * scale[:, None, None, None])
            last.bias.copy_(weights["_bn1.bias"] - weights["_bn1.running_mean"] * scale)
        self.net = nn.Sequential(*body[:-1], last, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
        self.side, self.views = side, views

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Return features of pictures, uint8 (n, side, side, 3), shape (n, 1280)."""
        turned = [np.rot90(pictures, view, axes=(1, 2)) for view in range(self.views)]
        with torch.inference_mode():
            seen = [torch.from_numpy(np.ascontiguousarray(one)).permute(0, 3, 1, 2).float() / 255 for one in turned]
            return torch.stack([self.net(one) for one in seen]).mean(dim=0).numpy()


def embedded(files: list[Path], rows: np.ndarray, network: str, model: Model) -> np.ndarray:
    """Return the embeddings of some pictures by a network; kept in the cache, since they take minutes."""
    views, crop = model.card.views, model.framing.crop
    side = {"peculiar": model.framing.size, "imagenet": model.framing.size, "imagenet 224": 224}[network]
    name = model.card.digest[:12] if network == "peculiar" else f"{network.replace(' ', '-')}-{crop}-{views}"
    digest = file_digest(files[0])[:12]
    file = cache_folder() / "discovery" / f"{files[0].parent.name}-{files[0].stem}-{digest}-{len(rows)}-{name}.npy"
    if not file.exists():
        own = None if network == "peculiar" else ImageNet(side, views)
        parts = []
        for pictures in decoded(files, rows, Framing(side, crop=crop)):
            parts.append(own.embed(pictures) if own else model.classify(pictures, framed=True).embedding)
        with replacing(file) as temporary, temporary.open("wb") as opened:
            np.save(opened, np.concatenate(parts))
    return np.load(file)


def decoded(files: list[Path], rows: np.ndarray, framing: Framing) -> Iterator[np.ndarray]:
    data = ds.dataset([str(file) for file in files])
    for start in range(0, len(rows), BATCH):
        some = data.take(rows[start : start + BATCH], columns=["image"])["image"].to_pylist()
        yield np.stack([decode_picture(one["bytes"], framing) for one in some])
