"""Anomalies: outliers are found, ratings change the ranks, and invalid ratings are refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs.anomalies import METHODS, choose_varied, learn, outlier_ranks, read_answers
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.errors import DataError, LabelError, UnknownNameError, UsageError


@pytest.fixture
def planted() -> Embeddings:
    """Return embeddings: three hundred alike, ten of one other kind, ten of another."""
    random = np.random.default_rng(222)
    directions = np.eye(8)[[0, 1, 2]] * 5
    kinds = np.repeat([0, 1, 2], [300, 10, 10])
    return Embeddings.of(directions[kinds] + random.normal(0, 0.5, (320, 8)))


@pytest.mark.parametrize("method", METHODS)
def test_the_unlike_rank_first(planted: Embeddings, method: str) -> None:
    ranks = outlier_ranks(planted, method=method)
    assert set(np.argsort(-ranks)[:20]) == set(range(300, 320))
    assert ranks.min() == 0
    assert ranks.max() == 1
    np.testing.assert_array_equal(ranks, outlier_ranks(planted, method=method))


def test_the_interesting_kind_comes_first_after_one_answer_each(planted: Embeddings) -> None:
    ranks = outlier_ranks(planted)
    learned = learn(planted, ranks, np.array([300, 310]), np.array([1.0, 0.0]))
    assert len(set(np.argsort(-learned)[:10]) & set(range(300, 310))) >= 9
    assert learned[310:].mean() < ranks[310:].mean() - 0.5


def test_varied_ones_are_of_several_kinds(planted: Embeddings) -> None:
    scores = np.zeros(320, dtype=np.float32)
    scores[300:310], scores[310:], scores[5] = 1.0, 0.9, np.nan
    assert set(np.argsort(-scores, kind="stable")[:4]) < set(range(300, 310))
    chosen = choose_varied(planted, scores, 2)
    assert sorted(row // 10 for row in chosen) == [30, 31]
    assert 5 not in choose_varied(planted, scores, 320)
    assert len(choose_varied(planted, scores, 400)) == 319
    assert len(choose_varied(planted, np.full(320, np.nan, dtype=np.float32), 3)) == 0


def test_galaxies_without_an_embedding_have_no_rank(planted: Embeddings) -> None:
    points = planted.vectors * planted.lengths[:, None]
    points[4] = np.nan
    holed = Embeddings.of(points)
    ranks = outlier_ranks(holed)
    assert np.isnan(ranks).tolist() == [row == 4 for row in range(320)]
    learned = learn(holed, ranks, np.array([4, 300]), np.array([1.0, 1.0]))
    assert np.isnan(learned).sum() == 1


def test_a_catalogue_s_anomalies_with_answers(tiny_catalog: Path) -> None:
    first = Catalog(tiny_catalog).anomalies(top=100)
    assert len(first) == 100
    assert first.to_arrow()["interesting"].null_count == 100
    answers = {first.ids[0]: 0.0, first.ids[-1]: 1.0}
    second = Catalog(tiny_catalog).anomalies(answers, top=100)
    assert second.ids.index(first.ids[0]) > 0
    assert second.ids.index(first.ids[-1]) < 99
    given = dict(zip(second.ids, second.to_arrow()["interesting"].to_pylist(), strict=True))
    assert {id_: value for id_, value in given.items() if value is not None} == answers
    varied = Catalog(tiny_catalog).anomalies(answers, new=True, varied=True, top=5)
    assert len(set(varied.ids) - set(answers)) == 5
    assert set(varied.ids) <= set(Catalog(tiny_catalog).anomalies(answers, new=True, top=50).ids)
    third = Catalog(tiny_catalog).anomalies(answers, new=True, where="id < 'sim-010'", top=100)
    assert not set(answers) & set(third.ids)
    assert all(id_ < "sim-010" for id_ in third.ids)
    with pytest.raises(UnknownNameError, match="no galaxy 'nobody'"):
        Catalog(tiny_catalog).anomalies({"nobody": 1.0})
    with pytest.raises(UnknownNameError, match="no method 'forest'"):
        Catalog(tiny_catalog).anomalies(method="forest")


def test_too_few_to_compare() -> None:
    with pytest.raises(UsageError, match="ten galaxies or more with an embedding; received 3"):
        outlier_ranks(Embeddings.of(np.eye(3)))


def test_answers_as_people_write_them(tiny_catalog: Path) -> None:
    Path("one.csv").write_text("id,interesting,note\na,yes,x\nb,NO,\nc,,\nd,0.25,\n007,1,\n")
    Path("two.csv").write_text("id,interesting\nb,true\n")
    assert read_answers(["one.csv"]) == {"a": 1.0, "b": 0.0, "d": 0.25, "007": 1.0}
    assert read_answers(["one.csv", "two.csv"])["b"] == 1.0
    pa.parquet.write_table(pa.table({"id": [1000.0, None], "interesting": ["yes", None]}), "numbers.parquet")
    assert read_answers(["numbers.parquet"]) == {"1000": 1.0}
    Path("other.csv").write_text("id,other,interesting\n1,a,yes\n")
    assert read_answers(["other.csv"], "other") == {"a": 1.0}
    with pytest.raises(UnknownNameError, match="no column 'nope'"):
        read_answers(["other.csv"], "nope")
    Catalog(tiny_catalog).anomalies({"sim-001": 0.5}, top=100).write("mine.csv")
    assert read_answers(["mine.csv"]) == {"sim-001": 0.5}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "id,interesting\na,perhaps\n",
            r"the rating of a has to be yes, no, or a number from 0 to 1; received 'perhaps'",
        ),
        ("id,interesting\na,5\n", "received '5'"),
        ("id,interesting\na,\n", "no galaxy is rated"),
    ],
)
def test_what_is_no_answer(content: str, says: str) -> None:
    Path("a.csv").write_text(content)
    with pytest.raises(LabelError, match=says):
        read_answers(["a.csv"])


def test_a_table_without_answers() -> None:
    Path("a.csv").write_text("id,interest\na,1\n")
    with pytest.raises(UnknownNameError, match="Did you mean 'interest'"):
        read_answers(["a.csv"])
    Path("b.csv").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"b\.csv: not a known kind of table"):
        read_answers(["b.csv"])
