"""Compare the answers of a model with measures of the same galaxies: where they disagree."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.evaluation.scored import Scored
from peculiar.metrics.scores import class_auc

PAIRS = {
    "merger": ("asymmetry", "gini_m20_merger", "shape_asymmetry"),
    "merging": ("asymmetry", "gini_m20_merger", "shape_asymmetry"),
    "odd": ("asymmetry", "shape_asymmetry"),
}
"""By answer, in lower case, the columns of `peculiar measure` that should be high for it."""

SHOWN = 6
"""Number of galaxies that are shown on either side."""

# Galaxies that are needed for a comparison.
_LEAST = 2 * SHOWN

# Flags of statmorph of measures that count: good and suspect.
_GOOD = {"0", "1"}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An answer compared with a measure.

    Parameters
    ----------
    answer, measure : str
        The answer, and the column of the measure.
    galaxies : int
        Number of galaxies with both.
    correlation : float
        Spearman's rank correlation of the probability and the measure.
    auc_network, auc_measure : float or None
        Area under the ROC curve of each for the label; None if all galaxies or none have it.
    network_higher, measure_higher : list of str
        Ids of the galaxies with the largest differences of ranks: the probability is higher, or the measure.
    """

    answer: str
    measure: str
    galaxies: int
    correlation: float
    auc_network: float | None
    auc_measure: float | None
    network_higher: list[str]
    measure_higher: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return asdict(self)


def compare_measures(scored: Scored) -> list[Disagreement]:
    """Compare the probabilities of mergers and odd galaxies with measures, if there are columns of these.

    Parameters
    ----------
    scored : Scored
        With the columns of `peculiar measure`; see `Scored.join`.

    Returns
    -------
    list of Disagreement
        Empty without such columns, or with fewer than twelve galaxies with measures.
    """
    found = []
    good = np.ones(len(scored.ids), bool)
    if "quality" in scored.columns:
        good = np.array([entry in _GOOD for entry in scored.column("quality")])
    for number, answer in enumerate(scored.question.answers):
        for measure in PAIRS.get(answer.lower(), ()):
            if measure in scored.columns:
                values = _numbers(scored.column(measure))
                rows = np.flatnonzero(good & np.isfinite(values) & np.isfinite(scored.probabilities[:, number]))
                if len(rows) >= _LEAST:
                    found.append(_compare(scored, number, measure, values, rows))
    return found


def _compare(
    scored: Scored, number: int, measure: str, values: NDArray[np.float64], rows: NDArray[np.intp]
) -> Disagreement:
    from scipy.stats import rankdata

    chances, right = scored.probabilities[rows, number], scored.labels[rows] == number
    ranks = np.stack([rankdata(chances), rankdata(values[rows])])
    constant = (np.ptp(ranks, axis=1) == 0).any()
    order = rows[np.argsort(ranks[0] - ranks[1], kind="stable")]
    both = bool(right.any() and not right.all())
    return Disagreement(
        scored.question.answers[number],
        measure,
        len(rows),
        0.0 if constant else float(np.corrcoef(ranks)[0, 1]),
        class_auc(right, chances) if both else None,
        class_auc(right, values[rows]) if both else None,
        [scored.ids[row] for row in order[::-1][:SHOWN]],
        [scored.ids[row] for row in order[:SHOWN]],
    )


def _numbers(entries: Sequence[str | None]) -> NDArray[np.float64]:
    def number(entry: str | None) -> float:
        try:
            return float(entry) if entry else np.nan
        except ValueError:
            return np.nan

    return np.array([number(entry) for entry in entries])


def pictures_of(found: Disagreement, scored: Scored) -> list[tuple[NDArray[np.uint8], str]]:
    """Return the pictures of the galaxies with the largest disagreements, with captions; empty without pictures.

    Parameters
    ----------
    found : Disagreement
    scored : Scored
    """
    number = scored.question.answers.index(found.answer)
    places = {id_: row for row, id_ in enumerate(scored.ids)}
    rows = [places[id_] for id_ in (*found.network_higher, *found.measure_higher)]
    entries = scored.column(found.measure)
    pictures = scored.pictures(np.array(rows))
    return [
        (
            pictures[row],
            f"{found.answer} {scored.probabilities[row, number]:.0%}\n{found.measure} {float(entries[row] or 0):.2f}",
        )
        for row in rows
        if row in pictures
    ]
