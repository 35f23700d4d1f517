"""Import timm where torchvision has no compiled operators, as its wheels beside PyTorch for processors alone."""

import warnings

import pytest
import torch

# A library that is forgotten takes its operators along.
_KEPT = []


def require_timm() -> None:
    """Import timm, or skip the test."""
    if not _can_import():
        _define()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("timm", exc_type=ModuleNotFoundError)


def _can_import() -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision  # noqa: F401
    except RuntimeError:
        return False
    except ModuleNotFoundError:
        pytest.skip("torchvision is not installed")
    return True


def _define() -> None:
    """Declare the operators that torchvision describes as it is imported; nothing here calls them."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
