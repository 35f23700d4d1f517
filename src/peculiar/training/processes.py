"""Processes that train one network together, as `accelerate launch` and `torchrun` start them."""

import os

from peculiar.errors import UsageError


def count() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def is_first() -> bool:
    """Return whether this process is the one that writes and tells."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def refuse_several(what: str) -> None:
    """Raise `UsageError` if there are several processes, for what one process does."""
    if count() > 1:
        message = (
            f"{what} takes one process, and {count()} were started; start `peculiar train` itself, or train a network "
            "with other first weights (--from imagenet, --question, --net timm:NAME)"
        )
        raise UsageError(message)
