"""Find a learning rate: try ever larger ones, one step each, and take that at which the loss falls fastest."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from peculiar.errors import RunError, UsageError, extra
from peculiar.files.places import on_this_machine
from peculiar.reports.drawing import save
from peculiar.reports.plots import draw_rates
from peculiar.training.plan import Asked, first_of, make_plan, open_asked
from peculiar.training.processes import refuse_several
from peculiar.training.watch import Watcher

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOWEST, HIGHEST = 1e-6, 1.0
"""The learning rates that are tried."""

_STEPS = 100

# Weight of earlier losses in the smoothed one.
_SMOOTHING = 0.9

# The steps are too large if the loss exceeds the lowest one by this factor.
_TOO_MUCH = 3.0

_FEWEST = 20


@dataclass(frozen=True, slots=True, repr=False)
class Rates:
    """Losses by learning rate; see `peculiar.training.train.train`.

    Parameters
    ----------
    rates : list of float
        The learning rates that were tried, rising.
    losses : list of float
        The smoothed loss before each step.
    best : float
        The rate at which the loss fell fastest: a good peak learning rate.
    """

    rates: list[float]
    losses: list[float]
    best: float

    def __repr__(self) -> str:
        """Return the finding in a line."""
        return f"learning rates {self.rates[0]:.1g} to {self.rates[-1]:.1g}: the loss falls fastest at {self.best:.1g}"

    def show(self) -> "Figure":
        """Draw the loss against the learning rate."""
        return draw_rates(self.rates, self.losses, self.best)


def find_rate(asked: Asked, out: str | os.PathLike[str], *, watcher: Watcher) -> Rates:
    """Try learning rates on the network and the galaxies of a run, and draw the loss (Smith 2017, arXiv:1506.01186).

    The learning rate rises exponentially from 1e-6 to 1 in up to 100 steps, until the loss explodes. The weights are
    discarded.

    Parameters
    ----------
    asked : Asked
        Arguments of the run.
    out : path-like
        PNG or PDF of the figure.
    watcher : Watcher

    Raises
    ------
    UsageError
        If the file is there already, or several processes were started.
    RunError
        If the loss explodes at once.
    """
    file = on_this_machine(out, "the figure of learning rates")
    refuse_several("finding a learning rate")
    if file.exists():
        message = f"{file} exists; give the figure of the learning rates another name"
        raise UsageError(message)
    plan = make_plan(asked, watcher, teachers=True)
    sources, questions = open_asked(asked, plan, watcher)
    with extra("training", "train"):
        from peculiar.training.loop import train_network
    found: list[Rates] = []

    def trial(loop: Any) -> None:
        found.append(_try(loop, np.geomspace(LOWEST, HIGHEST, _STEPS).tolist(), watcher))

    # The folder is not created, because a trial writes nothing.
    train_network(
        sources,
        file.with_suffix(".run"),
        plan.recipe,
        questions=questions,
        start=plan.origin,
        first=first_of(asked, plan),
        trial=trial,
        watcher=watcher,
    )
    save(found[0].show(), file)
    return found[0]


def _try(loop: Any, rates: Sequence[float], watcher: Watcher) -> Rates:
    recipe = loop.record.recipe.model_copy(update={"epochs": 1})
    watcher.begin(loop.record.model_copy(update={"recipe": recipe}), sum(one.numel() for one in loop.net.parameters()))
    losses: list[float] = []
    smoothed, weight = 0.0, 0.0
    for step, rate in enumerate(rates):
        loss = loop.try_step(step, rate)
        smoothed, weight = _SMOOTHING * smoothed + (1 - _SMOOTHING) * loss, _SMOOTHING * weight + 1 - _SMOOTHING
        if not np.isfinite(loss) or (losses and smoothed / weight > _TOO_MUCH * min(losses)):
            break
        losses.append(smoothed / weight)
        watcher.batch(1, step + 1, len(rates), losses[-1])
    if len(losses) < _FEWEST:
        message = f"the loss explodes after {len(losses)} steps, at a learning rate of {rates[len(losses)]:.1g}"
        raise RunError(message)
    slopes = np.gradient(losses, np.log(rates[: len(losses)]))
    # The first smoothed losses follow single batches.
    best = _FEWEST // 2 + int(slopes[_FEWEST // 2 :].argmin())
    return Rates(list(rates[: len(losses)]), losses, float(rates[best]))
