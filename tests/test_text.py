"""Display of foreign text, and messages from errors of libraries."""

import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from peculiar.errors import DataError, PeculiarError, PictureError
from peculiar.text import in_template, plain, reason, shown, shown_lines, width


@given(st.text())
def test_what_is_shown_is_printable_and_says_all(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)
    if text.isprintable():
        assert shown(text) == text


@given(st.text())
def test_lines_stay_lines(text: str) -> None:
    assert shown_lines(text).split("\n") == [shown(line) for line in text.split("\n")]


def test_a_template_prints_text_as_escapes_and_leaves_the_rest() -> None:
    assert in_template("a\u202eb\n") == "a\\u202eb\\n"
    markup = Markup("<b>\n</b>")
    assert in_template(markup) is markup
    assert in_template(7) == 7


def test_a_path_that_is_no_text_is_shown() -> None:
    assert shown("a\udcff.png") == "a\\udcff.png"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("\u661f", 2), ("e\u0301", 1), ("\U0001f44d", 2), ("", 0), ("\uff21", 2)]
)
def test_how_wide_a_text_is(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(
                "No SIMPLE card found, this file does not appear to be a valid FITS file. If this is really a FITS "
                "file, try with ignore_missing_simple=True"
            ),
            "No SIMPLE card found, this file does not appear to be a valid FITS file",
        ),
        (
            ValueError(
                "\nERROR: Unable to guess table format with the guesses listed below:\n** To figure out why the table "
                "did not read, use guess=False and\n** appropriate arguments to read()."
            ),
            "ERROR: Unable to guess table format with the guesses listed below:",
        ),
        (ValueError("Cannot load file containing pickled data when allow_pickle=False"), None),
        (FileNotFoundError(2, "No such file or directory", "/x/y"), "No such file or directory"),
        (KeyError("RA"), "RA"),
        (ValueError(), "ValueError"),
        (ValueError("a\n b\tc\x1b[0m"), "a b c\\x1b[0m"),
        (ValueError(f"bad {[Path('a.fits'), Path('b.fits')]}"), "bad [a.fits, b.fits]"),
        (ValueError("x" * 1000), "x" * 300 + "..."),
        (ValueError("W01: bad unit 'x'. See https://example.org/units for more."), "W01: bad unit 'x'"),
    ],
)
def test_what_a_library_says_is_told_without_its_advice(error: Exception, told: str | None) -> None:
    found = reason(error)
    if told is not None:
        assert found == told
    assert "\n" not in found


def test_a_message_tells_the_reason_alone() -> None:
    cause = ValueError("bad header, try with ignore_missing_simple=True. Set memmap=False")

    def fail(kind: type[PeculiarError], message: str) -> None:
        try:
            raise cause
        except ValueError as error:
            raise kind(message) from error

    for kind in (DataError, PictureError):
        for said in (str(cause), repr(cause)):
            with pytest.raises(kind) as told:
                fail(kind, f"a.fits: cannot be read ({said}); download it again")
            assert "Set memmap" not in str(told.value)
            assert str(told.value).startswith("a.fits: cannot be read (bad header")
            assert str(told.value).endswith("; download it again")
            assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


def test_paths_are_told_as_they_are_typed() -> None:
    assert plain(f"{[Path('a b.fits')]} and {PurePosixPath('x')!r}") == "[a b.fits] and x"
    assert str(DataError(f"several files: {[Path('a'), Path('b')]}")) == "several files: [a, b]"
