"""Tests of the columns that say which classes are warranted."""

import numpy as np
import pytest

from peculiar.catalogs.abstention import KIND_UNSURE, SEVERAL, UNLIKE, abstain, abstention_columns
from peculiar.catalogs.tally import Flag
from peculiar.questions.question import FOUR_CLASS

NORMAL, RINGED, MERGER, OTHER = np.eye(4, dtype=bool)
NOTHING = np.zeros(4, dtype=bool)

CASES = [
    (NORMAL, 0, 0.5, "Normal", None),
    (RINGED, 0, 1.0, "Ringed", None),
    (RINGED | MERGER, 0, 0.5, "odd", KIND_UNSURE),
    (RINGED | MERGER | OTHER, 0, 0.5, "odd", KIND_UNSURE),
    (NORMAL | RINGED, 0, 0.5, None, SEVERAL),
    (NORMAL | RINGED | MERGER | OTHER, 0, 0.5, None, SEVERAL),
    (RINGED, 0, 1.01, None, UNLIKE),
    (RINGED | MERGER, 0, 1.01, None, UNLIKE),
    (NOTHING, Flag.UNREADABLE, np.nan, None, "picture unreadable"),
    (NORMAL, Flag.BLANK, 3.0, None, "picture of one colour"),
    (NORMAL, Flag.BLANK | Flag.OFF_MOSAIC, 0.1, None, "position on no mosaic"),
    (NOTHING, Flag.NO_ANSWER, np.nan, None, "no numbers returned"),
    # What is said of the picture alone does not make the class less certain.
    (NORMAL, Flag.EDGE | Flag.GUESSED, 0.1, "Normal", None),
]


@pytest.mark.parametrize(("inside", "flags", "ood", "called", "why"), CASES)
def test_a_class_is_given_as_far_as_it_is_warranted(inside, flags, ood, called, why):
    classes, reasons = abstain(FOUR_CLASS.answers, inside[None], np.array([int(flags)]), np.array([ood]))
    assert (classes, reasons) == ([called], [why])


def test_rows_do_not_mix():
    sets = np.stack([case[0] for case in CASES])
    flags, ood = np.array([int(case[1]) for case in CASES]), np.array([case[2] for case in CASES])
    classes, reasons = abstain(FOUR_CLASS.answers, sets, flags, ood)
    assert classes == [case[3] for case in CASES]
    assert reasons == [case[4] for case in CASES]


@pytest.mark.parametrize("answers", [("a", "b"), ("", "class"), ("Ringed", "Merger")])
def test_other_questions_have_nothing_to_roll_up_to(answers):
    sets = np.array([[True, False], [False, True], [True, True]])
    classes, reasons = abstain(answers, sets)
    assert classes == [*answers, None]
    assert reasons == [None, None, SEVERAL]
    assert "odd" not in abstention_columns(answers, "kind")[0].description
