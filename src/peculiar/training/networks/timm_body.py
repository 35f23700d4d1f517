"""Bodies from timm: an image encoder with the size and the normalisation of pictures that belong to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from peculiar.errors import DownloadError, ModelError, UnknownNameError, UsageError, extra
from peculiar.text import reason
from peculiar.training.dimensions import HUB, TIMM

# Arguments of a published configuration that the network sets itself.
_OWN = ("num_classes", "in_chans", "img_size", "global_pool")

# Counters of batches, which do not affect the outputs.
_COUNTERS = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Encoder:
    """An image encoder that timm knows.

    Parameters
    ----------
    name : str
        Its name in timm: ``convnext_nano`` or, with the weights, ``convnext_nano.d1h_in1k``.
    size : int
        Side of the pictures that it was made for, in pixels.
    published : str
        Name of its published weights; empty if there are none.
    arguments : dict
        Arguments of timm's function, where a published configuration has some.
    config : object
        The published configuration, for encoders of the hub.
    """

    name: str
    size: int
    published: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    config: Any = None


def look_up(net: str) -> Encoder:
    """Find an encoder by its name.

    Parameters
    ----------
    net : str
        ``timm:NAME``, or ``hf-hub:OWNER/NAME`` for the hub of Hugging Face.

    Raises
    ------
    UnknownNameError
        If timm has no encoder of this name.
    MissingExtraError
        If timm is not installed.
    DownloadError
        If the hub cannot be reached, or has no such encoder.
    ModelError
        If the encoder is not one for pictures of three colours.
    """
    if net.startswith(HUB):
        return _on_hub(net)
    timm, name = _timm(), net.removeprefix(TIMM)
    if not timm.is_model(name):
        raise UnknownNameError("encoder of timm", name, timm.list_models())
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # weights of this name
        known = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise UnknownNameError("encoder of timm", name, [name.partition(".")[0], *known]) from error
    tag = f".{config.tag}" if config is not None and config.tag and "." not in name else ""
    published = bool(config is not None and config.has_weights)
    return Encoder(name, _size_of(config, net), f"timm/{name}{tag}" if published else "")


def _on_hub(net: str) -> Encoder:
    """Return an encoder whose configuration the hub has."""
    _timm()
    from timm.models import load_model_config_from_hf

    try:
        config, name, arguments = load_model_config_from_hf(net.removeprefix(HUB))
    except Exception as error:  # the hub's client has a dozen, and those of the network below it
        message = (
            f"the configuration of {net} cannot be fetched ({reason(error)}); check the name and the connection, or "
            "give a file of its weights and timm's name of the encoder (--net timm:NAME --weights FILE)"
        )
        raise DownloadError(message) from error
    kept = {key: value for key, value in (arguments or {}).items() if key not in _OWN}
    return Encoder(name, _size_of(config, net), net.removeprefix(HUB), kept, config)


def _size_of(config: Any, net: str) -> int:
    """Return the side of the pictures of an encoder; even, as augmentation needs it."""
    values = config if isinstance(config, Mapping) else {} if config is None else config.to_dict()
    colours, side, _ = values.get("input_size") or (3, 224, 224)
    if colours != 3:
        message = f"{net} takes pictures of {colours} colours; give an encoder for three"
        raise ModelError(message)
    return int(side) // 2 * 2


class TimmBody(nn.Module):
    """An encoder of timm without its classifier: from pictures to the vector that the classifier would see.

    Parameters
    ----------
    name : str
        Its name in timm.
    size : int
        Side of the pictures.
    arguments : mapping
        Of timm's function.
    config : object, optional
        A configuration in place of timm's.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1; the mean and the standard deviation of the encoder are applied here.
    Output: float (n, features).

    Raises
    ------
    UsageError
        If the encoder cannot take pictures of this size.
    ModelError
        If it gives no vector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, size: int, arguments: Mapping[str, Any] | None = None, config: Any = None) -> None:
        super().__init__()
        self.name = name
        self.net = cast(
            nn.Module, _timm().create_model(name, num_classes=0, pretrained_cfg=config, **(arguments or {}))
        )
        told = cast("Mapping[str, Any]", self.net.pretrained_cfg)
        for key, value in (("mean", told.get("mean", (0.0,) * 3)), ("std", told.get("std", (1.0,) * 3))):
            self.register_buffer(key, torch.tensor(value).reshape(1, -1, 1, 1))
        self.features = 0
        self.resize(size)

    def resize(self, size: int) -> None:
        """Take pictures of another size; weights that lie at places of the picture are interpolated."""
        set_size = getattr(self.net, "set_input_size", None)
        try:
            if callable(set_size):
                set_size(img_size=(size, size))
            mode = self.training
            with torch.no_grad():
                vectors = self.eval()(torch.zeros(1, 3, size, size))
            self.train(mode)
        except Exception as error:  # the exception depends on the encoder
            message = f"timm:{self.name} does not take pictures of {size} pixels ({reason(error)}); give another --size"
            raise UsageError(message) from error
        if vectors.ndim != 2:
            message = f"timm:{self.name} gives {vectors.ndim - 1} axes instead of a vector for each picture"
            raise ModelError(message)
        self.features = int(vectors.shape[1])

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the vectors of pictures."""
        vectors: Tensor = self.net((pictures - self.mean) / self.std)
        return vectors

    def blocks(self) -> dict[str, int]:
        """Return the block of each parameter, from 0 on, in the order in which a picture passes them."""
        from timm.models import group_parameters

        matcher = getattr(self.net, "group_matcher", None)
        if not callable(matcher):
            message = f"timm:{self.name} does not tell its blocks apart; leave out --layer-decay and --freeze"
            raise UsageError(message)
        return {f"net.{name}": number for name, number in group_parameters(self.net, matcher(), reverse=True).items()}

    def recompute(self) -> None:
        """Store less: compute the maps within a block again for the gradients (Chen et al. 2016, arXiv:1604.06174)."""
        try:
            cast("Callable[[bool], None]", self.net.set_grad_checkpointing)(True)
        except (AttributeError, AssertionError) as error:
            message = f"timm:{self.name} cannot compute its maps again; leave out --checkpointing"
            raise UsageError(message) from error


def fetch(encoder: Encoder) -> nn.Module:
    """Return an encoder with its published weights, from the cache of the hub's client where they are.

    Raises
    ------
    DownloadError
        If they cannot be fetched.
    """
    try:
        return cast(
            nn.Module,
            _timm().create_model(
                encoder.name, pretrained=True, num_classes=0, pretrained_cfg=encoder.config, **encoder.arguments
            ),
        )
    except Exception as error:  # as above
        message = (
            f"the weights {encoder.published} cannot be fetched ({reason(error)}); check the connection, give a file "
            "of them (--weights FILE), or begin with random weights (--from scratch)"
        )
        raise DownloadError(message) from error


def fill(body: TimmBody, state: Mapping[str, Tensor], source: str) -> None:
    """Load weights into a body, from a state whose names may have a prefix, and which may hold heads as well.

    Parameters
    ----------
    body : TimmBody
        At the size of the pictures that the weights were made for.
    state : mapping of str to Tensor
    source : str
        Name of the weights in messages.

    Raises
    ------
    ModelError
        If they are those of another network.
    """
    own = body.net.state_dict()
    found = _without_prefix(state, own)
    missing = [name for name in own if name not in found and not name.endswith(_COUNTERS)]
    if len(missing) == len(own):
        first = ", ".join(list(state)[:3]) or "none"
        message = f"{source} has no weights of timm:{body.name}; the first of its {len(state):,} entries: {first}"
        raise ModelError(message)
    if missing:
        message = (
            f"{source} does not hold the weights of timm:{body.name}: {len(missing):,} of {len(own):,} are missing, "
            f"such as {missing[0]}; name the encoder that it belongs to (--net)"
        )
        raise ModelError(message)
    for name, values in found.items():
        if values.shape != own[name].shape:
            message = (
                f"{source} does not hold the weights of timm:{body.name}: {name} has the shape {tuple(values.shape)} "
                f"instead of {tuple(own[name].shape)}; name the encoder that it belongs to (--net)"
            )
            raise ModelError(message)
    body.net.load_state_dict({**own, **found})


def _without_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries of a state that are a network's own, under the prefix by which most are."""
    prefixes = {
        name.removesuffix(known) for known in own for name in state if name == known or name.endswith(f".{known}")
    }
    taken = ({known: state[prefix + known] for known in own if prefix + known in state} for prefix in sorted(prefixes))
    return max(taken, key=len, default={})


def _timm() -> Any:
    """Import timm, which takes seconds."""
    try:
        with extra("a body of timm", "bodies"):
            import timm
    except (RuntimeError, OSError) as error:
        message = (
            f"timm cannot be used, because the installed torchvision is not of the same build as PyTorch "
            f"({reason(error)}); install both from one place: pip install --force-reinstall torch torchvision"
        )
        raise UsageError(message) from error
    return timm
