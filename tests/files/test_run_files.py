"""The files of a training run: what decides whether a run goes on."""

from pathlib import Path

import pytest

from peculiar.errors import RunError
from peculiar.files.run_files import check_same


def test_a_run_with_the_same_settings_goes_on() -> None:
    check_same(Path("run"), {"seed": 1, "epochs": 8}, {"seed": 1})


@pytest.mark.parametrize(
    ("now", "others", "said"),
    [
        ({"seed": 2, "size": 32}, [], "seed was 1, is 2"),
        ({"seed": 2, "size": 64}, [], "seed was 1, is 2; size was 32, is 64"),
        ({"seed": 1, "size": 32}, ["answers differ"], "answers differ"),
        ({"size": 8}, ["a", "b"], "size was 32, is 8; a; b"),
    ],
)
def test_differences_are_listed(now: dict[str, int], others: list[str], said: str) -> None:
    with pytest.raises(RunError) as caught:
        check_same(Path("run"), {"seed": 1, "size": 32}, now, others)
    assert str(caught.value) == f"run cannot be resumed with other settings: {said}"
