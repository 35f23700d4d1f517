"""The exceptions: each is also the built-in kind a caller would expect, and says what to do."""

import builtins
import inspect
import pickle
import re

import pytest

from peculiar import errors


def public_classes() -> dict[str, type]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and kind.__module__ == "peculiar.errors"
    }


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"(\w+(?:Error|Warning))\b(?: \((\w+)\))?", errors.__doc__.split("Each exception")[0])
    assert sorted(name for name, _ in drawn) == sorted(public_classes())
    for name, builtin in drawn:
        if builtin:
            assert issubclass(public_classes()[name], getattr(builtins, builtin)), name


def test_every_exception_has_one_of_two_bases() -> None:
    for kind in public_classes().values():
        assert issubclass(kind, errors.PeculiarError) != issubclass(kind, errors.PeculiarWarning)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.DataError("x"), 1),
        (errors.LabelError("x"), 1),
        (errors.PictureError("x"), 1),
        (errors.RunError("x"), 1),
        (errors.DownloadError("x"), 1),
        (errors.MissingExtraError("x", "y"), 1),
        (errors.NotFoundError("x"), 2),
        (errors.UnknownNameError("column", "x", []), 2),
        (errors.UsageError("x"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_misuse_and_failure_have_different_exit_statuses(error: errors.PeculiarError, status: int) -> None:
    assert error.exit_status == status


@pytest.mark.parametrize("name", sorted(set(public_classes()) - {"UnknownNameError", "MissingExtraError"}))
def test_the_message_is_what_was_said(name: str) -> None:
    assert str(public_classes()[name]("galaxies.csv: no")) == "galaxies.csv: no"


def test_a_picture_error_keeps_its_reason() -> None:
    assert errors.PictureError("it is empty").reason == "it is empty"


def test_an_unknown_name_is_told_the_closest_and_the_known_ones() -> None:
    error = errors.UnknownNameError("column", "lables", ["id", "labels"], where="in a.csv")
    assert str(error) == "there is no column 'lables' in a.csv. Did you mean 'labels'? There are: id, labels"


def test_an_unknown_name_without_a_close_one_gets_no_hint() -> None:
    error = errors.UnknownNameError("network", "zzz", ["reference"])
    assert str(error) == "there is no network 'zzz'. There are: reference"


def test_an_unknown_name_among_none_says_so() -> None:
    assert str(errors.UnknownNameError("column", "x", [])).endswith("There are: none")


def test_at_most_twenty_known_names_are_listed() -> None:
    message = str(errors.UnknownNameError("column", "x", [f"column_{index:02}" for index in range(25)]))
    assert "column_19 and 5 more" in message
    assert "column_20" not in message


def test_a_missing_extra_says_what_to_type() -> None:
    error = errors.MissingExtraError("training", "train")
    assert str(error) == "training needs packages that are not installed. Type: pip install 'peculiar[train]'"


@pytest.mark.parametrize(
    "error",
    [
        errors.DataError("x"),
        errors.PictureError("it is damaged"),
        errors.UnknownNameError("column", "labl", ["label"], where="in t.csv"),
        errors.MissingExtraError("training", "train"),
        errors.NotFoundError("there is nothing"),
        errors.DownloadError("no answer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error: errors.PeculiarError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.exit_status == error.exit_status
    assert vars(again) == vars(error)
