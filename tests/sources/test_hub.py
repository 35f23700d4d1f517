"""Repositories of the Hugging Face hub: configurations, splits, names of classes, damaged cards."""

from pathlib import Path

import pytest

from field_formats import CARD, CLASSES, IDS, hub
from peculiar.errors import DataError, PeculiarWarning
from peculiar.sources import open_source
from peculiar.sources.hub import read_configuration

OTHERS = r"2 tables are read, but not 1 Parquet table .tiny/train-00000-of-00001\.parquet.; give the paths"
PARTS = "are taken for parts of a split.*except by `peculiar train` and `calibrate`"


def test_the_default_configuration_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    with pytest.warns(PeculiarWarning, match=OTHERS), pytest.warns(PeculiarWarning, match=PARTS):
        source = open_source(hub(tmp_path))
    assert source.ids() == [str(id_) for id_ in IDS]
    assert source.labels() == CLASSES
    assert source.parts() == {str(id_): "train" if number < 6 else "test" for number, id_ in enumerate(IDS)}


def test_another_configuration_is_read_by_its_folder(tmp_path: Path) -> None:
    source = open_source(hub(tmp_path) / "tiny")
    assert (len(source), source.parts()) == (2, {})


@pytest.mark.filterwarnings("ignore::peculiar.errors.PeculiarWarning")
@pytest.mark.parametrize(
    "files",
    ["data/t*-*", ["data/train-*", "data/test-*"], {"train": "data/train-*", "test": ["data/test-*"]}],
    ids=["one pattern", "a list", "by split"],
)
def test_files_are_listed_in_any_form(files: object, tmp_path: Path) -> None:
    repository = hub(tmp_path)
    (repository / "README.md").write_text(f"---\nconfigs:\n- config_name: all\n  data_files: {files!r}\n---\n")
    configuration = read_configuration(repository)
    assert configuration is not None
    assert sorted(path.name[:4] for path in configuration.files) == ["test", "trai"]


def test_names_of_classes_may_be_a_list_and_need_no_configuration(tmp_path: Path) -> None:
    repository = hub(tmp_path)
    names = "{class_label: {names: [a, b, c, d]}}"
    features = f"---\ndataset_info:\n  features:\n  - name: label\n    dtype: {names}\n---\n"
    (repository / "README.md").write_text(features)
    for path in repository.glob("tiny/*"):
        path.unlink()
    with pytest.warns(PeculiarWarning, match=PARTS):
        assert set(open_source(repository).labels()) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("---\nconfigs: [\n---\n", "its header is no YAML"),
        ("---\na: &a [1, 2]\nb: [*a, *a]\n---\n", "its header is no YAML .aliases are not read"),
    ],
)
def test_strange_cards_are_told_and_ignored(header: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(header)
    with pytest.warns(PeculiarWarning, match=told):
        assert read_configuration(tmp_path) is None


def test_files_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nconfigs:\n- data_files: ../secret/*.parquet\n---\n")
    lies, none = "lies elsewhere, and is not read", "none of the files of the configuration 'default'"
    with pytest.warns(PeculiarWarning, match=lies), pytest.raises(DataError, match=none):
        read_configuration(tmp_path)


def test_a_repository_without_its_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    with pytest.raises(DataError, match=r"none of the files .* is there \(data/train-\*, data/test-\*\); download"):
        open_source(tmp_path)


@pytest.mark.parametrize("text", ["", "# Galaxies", "---\n- 1\n---\n", "---\nlicense: mit\n---\n"])
def test_other_readmes_say_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    assert read_configuration(tmp_path) is None
    assert read_configuration(tmp_path / "nowhere") is None
