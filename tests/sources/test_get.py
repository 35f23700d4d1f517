"""Sets of galaxies by name, and what a set holds."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.sources import open_source
from peculiar.sources.get import describe, get, get_cutouts


def test_simulated_galaxies_are_written(tmp_path: Path) -> None:
    path = get("simulated", tmp_path / "galaxies.npz", count=8, size=64, seed=3)
    source = open_source(path)
    assert (len(source), source.label) == (8, "four_class")
    again = get("simulated", tmp_path / "again.npz", count=8, size=64, seed=3)
    np.testing.assert_array_equal(np.load(again)["data"], np.load(path)["data"])


def test_the_galaxies_of_the_exercise_are_copied(
    fake_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    fake_npz.rename(tmp_path / "data" / "galaxydata.npz")
    monkeypatch.setenv("PECULIAR_DATA", str(tmp_path / "data"))
    assert len(open_source(get("exercise", tmp_path / "copy.npz"))) == 40


def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no data set 'excercise'.*Did you mean 'exercise'"):
        get("excercise", tmp_path / "x.npz")
    with pytest.raises(UsageError, match=r"x\.parquet: the output has another format"):
        get("simulated", tmp_path / "x.parquet")
    with pytest.raises(NotFoundError):
        get_cutouts(tmp_path / "none.csv", tmp_path / "out", survey="legacy")


def test_what_a_set_holds(tiny_survey: Path, fake_pictures: NDArray[np.uint8]) -> None:
    found = describe(tiny_survey, label="clean5")
    assert (found.galaxies, found.kind, found.label, found.unlabelled) == (100, "table", "clean5", 0)
    assert sum(found.classes.values()) == 100
    assert list(found.classes.values()) == sorted(found.classes.values(), reverse=True)
    assert repr(found).startswith(f"{tiny_survey}: 100 galaxies (table)\n")
    bare = describe(fake_pictures)
    assert (bare.kind, bare.classes, bare.unlabelled) == ("memory", {}, 40)
    assert repr(bare) == "pictures in memory: 40 galaxies (memory)\nno labels"


def test_a_line_of_text_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("a file")
    with pytest.raises(DataError, match=r"no column holds pictures.*there are: a file"):
        describe(tmp_path / "note")
    (tmp_path / "empty.csv").write_text("id,ra,dec\n")
    assert describe(tmp_path / "empty.csv").galaxies == 0
