"""Label issues: flipped labels come first; data that cannot be judged are refused."""

import builtins
from typing import Any

import numpy as np
import pytest

from peculiar.checks.label_issues import rank_labels
from peculiar.errors import LabelError, MissingExtraError

RANDOM = np.random.default_rng(8)
TRUTH = np.repeat(["a", "b", "c"], 100)
CENTRES = {"a": 0.0, "b": 3.0, "c": 6.0}
EMBEDDINGS = (
    RANDOM.normal(0, 1, (300, 6)) + np.array([CENTRES[name] for name in TRUTH])[:, None] * np.eye(6)[0]
).astype(np.float32)


def test_flipped_labels_come_first() -> None:
    flipped = set(range(0, 300, 20))
    labels = [{"a": "c", "b": "a", "c": "a"}[name] if row in flipped else str(name) for row, name in enumerate(TRUTH)]
    ranking = rank_labels(EMBEDDINGS, labels, range(300))
    assert sorted(one.row for one in ranking) == list(range(300))
    assert len(flipped & {one.row for one in ranking[:30]}) >= 8
    assert [one.quality for one in ranking] == sorted(one.quality for one in ranking)
    first = ranking[0]
    assert (first.row in flipped, first.doubted, first.better) == (True, True, str(TRUTH[first.row]))


def test_a_copy_of_a_wrong_label_does_not_vouch_for_it() -> None:
    labels = [*map(str, TRUTH), "c", "c"]
    duplicates = np.concatenate([EMBEDDINGS, EMBEDDINGS[:1], EMBEDDINGS[:1]])
    ranking = rank_labels(duplicates, labels, [*range(300), 300, 300])
    assert {300, 301} <= {one.row for one in ranking[:10]}


@pytest.mark.parametrize("labels", [["a"] * 300, [*["a"] * 295, *["b"] * 5]])
def test_too_few_to_judge(labels: list[str]) -> None:
    with pytest.raises(LabelError, match="two or more classes of 10"):
        rank_labels(EMBEDDINGS, labels, range(300))


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("cleanlab"):
            raise ModuleNotFoundError(name)
        return importing(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'peculiar\[check\]'"):
        rank_labels(EMBEDDINGS, list(TRUTH), range(300))
