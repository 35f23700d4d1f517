"""No input crashes the program: each ends soon, with a message or a flagged row."""

import pytest

from bad_inputs import KINDS, try_all


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bad_inputs_end_with_words(kind: str) -> None:
    outcomes = try_all([kind])
    assert outcomes
    assert not [f"{one.case}: {one.fault}\n{one.text[-500:]}" for one in outcomes if one.fault]
