"""What simulated galaxies say about their attributes: yes, no, or nothing where it cannot be seen."""

from peculiar.simulation import ALL_FEATURES
from peculiar.simulation.attributes import ATTRIBUTES, COLUMNS, answer, answer_columns


def test_every_attribute_stands_for_features() -> None:
    assert {feature for features in ATTRIBUTES.values() for feature in features} <= set(ALL_FEATURES)
    assert len({column.name for column in COLUMNS}) == len(ATTRIBUTES)


def test_what_cannot_be_seen_is_unknown() -> None:
    hidden = {"ring_inner": True, "ring_inner_visible": False}
    assert answer("ring", hidden) is None
    assert answer("ring", hidden | {"ring_outer": True, "ring_outer_visible": True}) == "ring"
    assert answer("ring", {"bar": True, "bar_visible": True}) == "no_ring"


def test_answers_are_columns() -> None:
    truths = [{"bar": True, "bar_visible": True}, {"bar": True}, {}]
    columns = dict(zip((column.name for column in COLUMNS), answer_columns(truths), strict=True))
    assert columns["bar_answer"].to_pylist() == ["bar", None, "no_bar"]
    assert columns["lens_answer"].to_pylist() == ["no_lens"] * 3
