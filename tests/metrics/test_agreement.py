"""Agreement: the published worked examples, and what follows from the definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from peculiar.metrics.agreement import cohen_kappa, kappas, krippendorff_alpha, skills


def test_kappa_of_the_worked_example_of_fleiss() -> None:
    # Fleiss, Levin & Paik (2003), table 18.1: 100 subjects, two raters, kappa 0.676.
    counts = {"pp": 75, "pn": 1, "po": 4, "np": 5, "nn": 4, "no": 1, "op": 0, "on": 0, "oo": 10}
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    assert cohen_kappa([one for one, _ in pairs], [other for _, other in pairs]) == pytest.approx(0.676, abs=5e-4)


def test_alpha_of_krippendorffs_worked_examples() -> None:
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability". Part A: two observers, two values.
    assert krippendorff_alpha(zip("0100000010", "1110010000", strict=True)) == pytest.approx(0.095, abs=5e-4)
    # Part B: two observers, five values.
    assert krippendorff_alpha(zip("aabbdcccedda", "babbbccceddd", strict=True)) == pytest.approx(0.692, abs=5e-4)
    # Part C: four observers, five values, some missing.
    rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[row[unit] for row in rows if row[unit] != "."] for unit in range(12)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = cohen_kappa(first, second)
    if found is None:
        assert len(set(first + second)) == 1
    else:
        assert found == pytest.approx(cohen_kappa_score(first, second))
        assert found == pytest.approx(cohen_kappa(second, first))


def test_alpha_is_1_where_all_agree_and_none_where_nothing_differs() -> None:
    assert krippendorff_alpha(["aa", "bbb", "c"]) == 1
    assert krippendorff_alpha(["aa", "aaa"]) is None
    assert krippendorff_alpha([]) is None
    assert cohen_kappa([], []) is None


def test_skill_is_agreement_with_most_of_the_others() -> None:
    ratings = {
        "1": {"Ada": "x", "Bob": "x", "Cy": "y"},
        "2": {"Ada": "y", "Bob": "y", "Cy": "y"},
        "3": {"Ada": "x", "Bob": "y", "Cy": "y"},
        "4": {"Ada": "x"},
    }
    found = {one.who: one for one in skills(ratings)}
    # Of the first galaxy the others of Ada are level, and so are those of Bob.
    assert (found["Ada"].answers, found["Ada"].compared, found["Ada"].agreed) == (4, 2, 0.5)
    assert (found["Cy"].compared, found["Cy"].agreed) == (2, 0.5)
    assert found["Bob"].low is not None
    assert found["Bob"].low < found["Bob"].agreed <= found["Bob"].high
    assert kappas(ratings)["Ada", "Bob"][1] == 3
