"""Conditions: their meaning, and the refusal of everything else."""

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peculiar.catalogs.where import MOST_CHARACTERS, MOST_DEPTH, read_where
from peculiar.errors import UnknownNameError, UsageError

COLUMNS = {
    "id": pa.string(),
    "p_ringed": pa.float32(),
    "entropy": pa.float32(),
    "class": pa.string(),
    "flags": pa.int32(),
    "bright": pa.bool_(),
    'odd "name': pa.float64(),
    "Size": pa.float64(),
    "embedding": pa.list_(pa.float32(), 3),
}
ROWS = [
    ("a", 0.95, 0.1, "Ringed", 0, True, 1.0, 4.0, None),
    ("b", 0.5, 1.0, "Other", 2, False, 2.0, 9.0, None),
    ("c", 0.1, 0.3, "it's", 3, None, None, -1.0, None),
    ("d", None, None, None, 1, None, 4.0, None, None),
]
TABLE = pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in ROWS], pa.schema(list(COLUMNS.items())))


def met(text: str) -> str:
    condition = read_where(text, COLUMNS)
    with duckdb.connect() as connection:
        connection.register("rows", TABLE)
        found = connection.execute(f"SELECT id FROM rows WHERE {condition.sql} ORDER BY id", list(condition.values))
        return "".join(row[0] for row in found.fetchall())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p_ringed > 0.9 and entropy < 0.5", "a"),
        ("p_ringed > 0.9 AND entropy < 0.5 OR class = 'Other'", "ab"),
        ("class = 'Other' or p_ringed > .05 and not entropy >= 3e-1", "ab"),
        ("not (p_ringed > 0.9 or p_ringed < 0.2)", "b"),
        ("not not p_ringed == 0.5", "b"),
        ("class in ('Ringed', 'it''s')", "ac"),
        ("class not in ('Ringed')", "bc"),
        ("p_ringed between 0.2 and 0.6", "b"),
        ("p_ringed not between 0.2 and 0.6", "ac"),
        ("p_ringed is null", "d"),
        ("class is not null", "abc"),
        ("class like '%ing%'", "a"),
        ("class not ilike 'r%'", "bc"),
        ("starts_with(lower(class), 'o')", "b"),
        ("flags & 1 = 1", "cd"),
        ("flags % 2 <> 1", "ab"),
        ("bright", "a"),
        ("not bright", "b"),
        ("bright = true", "a"),
        ("1 - 0.5 - 0.5 = 0", "abcd"),
        ("2 + 3 * 2 = 8 and (2 + 3) * 2 = 10", "abcd"),
        ("- - 2 = 2 and -2 < 0 and +2 > 1", "abcd"),
        ('"odd ""name" >= 2', "bd"),
        ("SIZE = 4", "a"),
        ("pow(Size, 2) + abs(Size) = 2", "c"),
        ("coalesce(entropy, 9) > least(0.5, 7)", "bd"),
        ("round(entropy, 1) = 0.3", ""),  # 0.3 in single precision is another number
        ("abs(entropy - 0.3) < 1e-6", "c"),
        ("coalesce((p_ringed > 0.2), true)", "abd"),
        ("(p_ringed > 0.2) = (entropy > 0.2)", "b"),
        ("bright in (true)", "a"),
        ("flags & 1 * 2 = 2", "cd"),  # from left to right, as * and / are
    ],
)
def test_what_conditions_mean(text: str, expected: str) -> None:
    assert met(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p_ringed > 0.5; drop table rows", "there is ';'"),
        ("drop table rows", "'drop' is a statement"),
        ("attach '/tmp/x.db'", "'attach' is a statement"),
        ("copy rows to '/tmp/x'", "'copy' is a statement"),
        ("pragma version", "'pragma' is a statement"),
        ("set threads = 1", "'set' is a statement"),
        ("id in (select id from rows)", "'select' is a statement"),
        ("p_ringed > 0.5 union select 1", "there is 'union' where the end"),
        ("p_ringed > 0.5) or (1 = 1", r"there is '\)' where the end"),
        ("p_ringed > 0.5 -- the rest", "comments are not taken"),
        ("p_ringed /* x */ > 0.5", "comments are not taken"),
        ("p_ringed", "is a value, not a condition"),
        ("p_ringed and bright", "is a value, not a condition"),
        ("p_ringed >", "it ends where"),
        ("", "it ends where"),
        ("p_ringed > > 1", "there is '>' where a column"),
        ("class = 'Ringed", "a quote that is never closed"),
        ("p_ringed not 1", "after `not`"),
        ("p_ringed is 1", "'null'"),
        ("(p_ringed > 1", r"'\)'"),
        ("embedding = 1", "holds lists"),
        ("abs(1, 2) > 1", "abs takes 1 values, received 2"),
        ("round(1, 2, 3) > 1", "takes 1 to 2 values, received 3"),
        ("(" * 2000 + "1" + ")" * 2000 + " > 1", "nested more than 30"),
        ("abs(" * 500 + "1" + ")" * 500 + " > 1", "nested more than 30"),
        ("1 = 1 and " * MOST_CHARACTERS, "at most 10,000 characters"),
        ("1" + "+1" * 1000 + " = 1", "at most 200 terms"),
        ("p_ringed + (p_ringed > 0.5) > 1", "a condition, and a value is needed"),
        ("abs(bright) = 1", "a condition, and a value is needed"),
        ("- (1 = 1) = 1", "a condition, and a value is needed"),
        ("(1 = 1) between 0 and 1", "a condition, and a value is needed"),
        ("coalesce((p_ringed > 0.5), 1) = 1", "a condition, and a value is needed"),
        ("$1 = 1", "there is '\\$'"),
        ("class = ?", "there is '\\?'"),
        ("p_ringed::text = '1'", "there is ':'"),
        ("rows.id = 'a'", r"there is '\.', which has no meaning; a column with it in its name goes in double quotes"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, says: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=says):
        met(text)


@pytest.mark.parametrize(
    "text",
    ["read_csv('/etc/passwd') = 1", "getenv('HOME') = 'x'", "read_text('x') = 'y'", "current_setting('x') = ''"],
)
def test_functions_that_reach_outside_are_not_known(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"no function '\w+' that a condition may use"):
        met(text)


@pytest.mark.parametrize("sign", ["=", "==", "<>", "!=", "like", "not ilike"])
def test_text_without_quotes_is_hinted_at(sign: str) -> None:
    with pytest.raises(UnknownNameError, match=r"'Ringed' in the catalogue \(write text in single quotes, 'Ringed'\)"):
        met(f"class {sign} Ringed")


def test_a_column_that_is_not_there_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"no column 'p_ring' in the catalogue\. Did you mean 'p_ringed'"):
        met("p_ring > 0.5")


def test_the_beginning_of_a_name_with_signs_hints_at_double_quotes() -> None:
    columns = {"p_edge-on_yes": pa.float32()}
    with pytest.raises(UnknownNameError, match='not a plain word in double quotes, "p_edge-on_yes"'):
        read_where("p_edge-on_yes > 0.5", columns)
    read_where('"p_edge-on_yes" > 0.5', columns)


def test_what_a_condition_looks_at_and_its_values() -> None:
    condition = read_where("p_ringed > 0.9 and class = 'x; drop'", COLUMNS)
    assert condition.columns == {"p_ringed", "class"}
    assert condition.values == (0.9, "x; drop")
    assert "drop" not in condition.sql


def parsed(text: str) -> bool:
    """Return whether a condition is refused by the grammar, or else is valid for DuckDB."""
    try:
        met(text)
    except (UsageError, UnknownNameError):
        return True
    except duckdb.Error as error:  # such as 1 = 'a': read, but of kinds that do not go together
        return not isinstance(error, duckdb.ParserException | duckdb.PermissionException)
    return True


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert parsed(text)


_WORDS = st.sampled_from(
    [
        "p_ringed",
        "class",
        "flags",
        "bright",
        "(",
        ")",
        "and",
        "or",
        "not",
        ">",
        "=",
        "+",
        "-",
        "*",
        "1",
        "0.5",
        "'x'",
        "in",
        "(1,2)",
        "between",
        "is",
        "null",
        "like",
        "abs(",
        ",",
        "true",
    ]
)


@settings(deadline=None)
@given(st.lists(_WORDS, max_size=12))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    assert parsed(" ".join(words))


@settings(deadline=None)
@given(st.text(min_size=1, max_size=20))
def test_any_text_is_a_value_in_quotes(text: str) -> None:
    quoted = text.replace("'", "''")
    assert read_where(f"class = '{quoted}'", COLUMNS).values == (text,)


# Conditions that repeat what stands in brackets, each of another rule: whatever is written into SQL twice.
_DOUBLING = [
    ("p_ringed > {}", "p_ringed"),
    ("p_ringed >= coalesce({}, p_ringed)", "1"),
    ("({} = (p_ringed < 0.5))", "bright"),
    ("(p_ringed > 0.5) = ({})", "bright"),
    ("coalesce({}, true) and p_ringed > 0.5", "bright"),
    ("least((p_ringed > 0.5), {})", "bright"),
    ("abs({} + p_ringed)", "p_ringed"),
    ("p_ringed between 0 and {}", "p_ringed"),
    ("({}) in (true, p_ringed > 0.5)", "bright"),
    ("not ({})", "bright"),
    ("{} is null", "p_ringed"),
]


@pytest.mark.parametrize(("outer", "inner"), _DOUBLING)
def test_sql_grows_with_the_condition_however_deep(outer: str, inner: str) -> None:
    text = inner
    for depth in range(MOST_DEPTH + 5):
        try:
            condition = read_where(text if depth else f"{inner} is null", COLUMNS)
        except UsageError:
            condition = None
        if condition is not None:
            assert len(condition.sql) <= 4 * len(text) + 40
            assert len(condition.values) <= 2 * len(text)
        text = outer.format(f"({text})")


def test_a_long_condition_is_computed_at_once() -> None:
    assert met(" or ".join(["p_ringed>2"] * 600 + ["flags=1"])) == "d"
    assert met("flags in (" + ", ".join(map(str, range(1, 1500))) + ")") == "bcd"


@dataclass(frozen=True)
class Made:
    """A condition or a value as text, and a function that evaluates it for a row; None if unknown."""

    text: str
    of: Callable[[dict[str, Any]], Any]


def lifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, not known where one of its arguments is not."""
    return lambda *values: None if None in values else function(*values)


def binary(sign: str, function: Callable[[Any, Any], Any]) -> Callable[[Made, Made], Made]:
    return lambda one, other: Made(
        f"({one.text} {sign} {other.text})", lambda row: lifted(function)(one.of(row), other.of(row))
    )


def less(one: float | None, other: float | None) -> bool | None:
    """Return whether one value is less; comparisons with NaN are false."""
    if other is not None and math.isnan(other):
        return False
    return None if one is None or other is None else one < other


def at_most(one: float | None, other: float | None) -> bool | None:
    if other is not None and math.isnan(other):
        return False
    return None if one is None or other is None else one <= other


def equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def both(one: bool | None, other: bool | None) -> bool | None:
    return False if False in (one, other) else None if None in (one, other) else True


def either(one: bool | None, other: bool | None) -> bool | None:
    return True if True in (one, other) else None if None in (one, other) else False


def first(one: Any, other: Any) -> Any:
    return other if one is None else one


NUMBERS = {"x": pa.float64(), "y": pa.float64(), "n": pa.int32(), "t": pa.bool_()}
SOME = [0.0, 1.0, -2.5, math.nan, math.inf, -math.inf, None]
NUMBER_ROWS = [
    {"x": x, "y": y, "n": number, "t": [True, False, None][number % 3]}
    for number, (x, y) in enumerate((x, y) for x in SOME for y in SOME)
]
_atoms = st.sampled_from(
    [
        *(Made(name, operator.itemgetter(name)) for name in ("x", "y", "n")),
        *(Made(text, lambda _, value=float(text): value) for text in ("0", "1", "2.5", "1e308", "-1")),
    ]
)


def _values(inner: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        *(
            pairs.map(lambda two, sign=sign, function=function: binary(sign, function)(*two))
            for sign, function in (("+", operator.add), ("-", operator.sub), ("*", operator.mul))
        ),
        inner.map(lambda one: Made(f"abs({one.text})", lambda row: lifted(abs)(one.of(row)))),
        inner.map(lambda one: Made(f"(- {one.text})", lambda row: lifted(operator.neg)(one.of(row)))),
        pairs.map(
            lambda two: Made(
                f"coalesce({two[0].text}, {two[1].text})", lambda row: first(two[0].of(row), two[1].of(row))
            )
        ),
    )


_numbers = st.recursive(_atoms, _values, max_leaves=5)
_compared = st.one_of(
    st.just(Made("t", operator.itemgetter("t"))),
    *(
        st.tuples(_numbers, _numbers).map(
            lambda two, sign=sign, function=function: Made(
                f"({two[0].text} {sign} {two[1].text})", lambda row: function(two[0].of(row), two[1].of(row))
            )
        )
        for sign, function in (
            ("<", less),
            ("<=", at_most),
            (">", lambda one, other: less(other, one)),
            (">=", lambda one, other: at_most(other, one)),
            ("=", lifted(equal)),
            ("<>", lifted(lambda one, other: not equal(one, other))),
        )
    ),
    st.tuples(_numbers, _numbers, _numbers, st.booleans()).map(
        lambda made: Made(
            f"({made[0].text} {'not ' * made[3]}between {made[1].text} and {made[2].text})",
            lambda row: between(*(one.of(row) for one in made[:3]), negated=made[3]),
        )
    ),
    _numbers.map(lambda one: Made(f"({one.text} is null)", lambda row: one.of(row) is None)),
)


def between(value: float | None, low: float | None, high: float | None, *, negated: bool) -> bool | None:
    found = both(at_most(low, value), at_most(value, high))
    return None if found is None else found != negated


def _truths(inner: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(
            lambda two: Made(f"({two[0].text} and {two[1].text})", lambda row: both(two[0].of(row), two[1].of(row)))
        ),
        pairs.map(
            lambda two: Made(f"({two[0].text} or {two[1].text})", lambda row: either(two[0].of(row), two[1].of(row)))
        ),
        inner.map(lambda one: Made(f"(not {one.text})", lambda row: None if (v := one.of(row)) is None else not v)),
        pairs.map(lambda two: binary("=", operator.eq)(*two)),
        pairs.map(
            lambda two: Made(
                f"coalesce({two[0].text}, {two[1].text})", lambda row: first(two[0].of(row), two[1].of(row))
            )
        ),
    )


@pytest.fixture(scope="module")
def numbers() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees `NUMBER_ROWS`."""
    rows = [{"id": number, **row} for number, row in enumerate(NUMBER_ROWS)]
    table = pa.Table.from_pylist(rows, pa.schema([("id", pa.int32()), *NUMBERS.items()]))
    with duckdb.connect() as connection:
        connection.register("rows", table)
        yield connection


@settings(deadline=None, max_examples=200)
@given(made=st.recursive(_compared, _truths, max_leaves=8))
@pytest.mark.slow
def test_any_condition_means_what_it_says(numbers: duckdb.DuckDBPyConnection, made: Made) -> None:
    condition = read_where(made.text, NUMBERS)
    assert len(condition.sql) <= 4 * len(made.text) + 40
    found = numbers.execute(f"SELECT id FROM rows WHERE {condition.sql} ORDER BY id", list(condition.values)).fetchall()
    assert [id_ for (id_,) in found] == [number for number, row in enumerate(NUMBER_ROWS) if made.of(row) is True]
