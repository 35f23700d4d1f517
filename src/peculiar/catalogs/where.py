"""Conditions on the columns of a catalogue, parsed and translated into safe SQL.

``p_ringed > 0.9 and entropy < 0.5``: comparisons, ``and``, ``or``, ``not``, ``in``, ``between``, ``like``, ``is null``,
arithmetic, and a closed list of functions. A condition is parsed by the grammar below, and SQL is generated from the
result, with values as parameters: nothing outside the grammar can get into a query. The SQL is at most a few times as
long as the condition.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import pyarrow as pa

from peculiar.errors import UnknownNameError, UsageError

MOST_CHARACTERS, MOST_DEPTH, MOST_TERMS = 10_000, 30, 200
"""Bounds of a condition: its length, how deep brackets may be nested, and how many terms a sum or product has."""

FUNCTIONS = {
    **dict.fromkeys(("abs", "sqrt", "exp", "ln", "log10", "floor", "ceil", "radians", "degrees", "isnan"), (1, 1)),
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "lower", "upper", "length"), (1, 1)),
    **dict.fromkeys(("pow", "atan2", "starts_with", "ends_with", "contains"), (2, 2)),
    "round": (1, 2),
    **dict.fromkeys(("least", "greatest", "coalesce"), (2, 10)),
}
"""Functions that a condition may use, with the minimum and maximum number of arguments."""

_TRUTHS = frozenset({"isnan", "starts_with", "ends_with", "contains"})
_CHOICES = frozenset({"least", "greatest", "coalesce"})

# These may give NaN even for integers: the logarithm of -1, 0 / 0.
_REALS = frozenset({"sqrt", "exp", "ln", "log10", "pow", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "/"})

_TOKEN = re.compile(
    r"""
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | '(?P<text>(?:[^']|'')*)'
  | "(?P<quoted>(?:[^"]|"")+)"
  | (?P<name>[^\W\d]\w*)
  | (?P<sign><=|>=|<>|!=|==|--|/\*|[-+*/%&()<>=,])
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "between", "is", "null", "like", "ilike", "true", "false"})
_STATEMENTS = frozenset(
    (
        *("select", "from", "union", "with", "values", "insert", "update", "delete", "drop", "alter", "create"),
        *("attach", "detach", "copy", "pragma", "set", "reset", "load", "install", "call", "export", "import"),
        *("explain", "execute", "prepare", "begin", "commit", "vacuum", "checkpoint"),
    )
)
_WHOLE = 1 << 64
"""Integers below it are compared as integers."""

_COMPARISONS = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_BEFORE_TEXT = ("=", "==", "<>", "!=", "like", "ilike")
"""An unknown name after one of these is often text whose quotes were forgotten."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition.

    Parameters
    ----------
    sql : str
        With a question mark for each value.
    values : tuple of (str, int or float)
        In the order of the question marks.
    columns : frozenset of str
        The columns that it uses.
    """

    sql: str
    values: tuple[str | float, ...]
    columns: frozenset[str]


def read_where(text: str, columns: Mapping[str, pa.DataType], names: Mapping[str, str] | None = None) -> Condition:
    """Parse a condition.

    Parameters
    ----------
    text : str
        Such as ``p_ringed > 0.9 and class in ('Ringed', 'Other')``. Text is in single quotes; a column whose name is
        not a plain word is in double quotes.
    columns : mapping of str to pyarrow.DataType
        The columns of the catalogue. Case only matters if two names differ only in case.
    names : mapping of str to str, optional
        SQL names of columns, where they differ.

    Returns
    -------
    Condition

    Raises
    ------
    UsageError
        If it does not follow the grammar; the message names the position.
    UnknownNameError
        If a column or a function is unknown.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"a condition has at most {MOST_CHARACTERS:,} characters; received {len(text):,}"
        raise UsageError(message)
    reader = _Reader(text, columns, names or {})
    return Condition(reader.whole(), tuple(reader.values), frozenset(reader.used))


def quoted(name: str) -> str:
    """Return the name of a column quoted for SQL, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class _Part:
    """SQL of a part of the condition; `truth` if it is a Boolean, `real` its values if it may be NaN.

    A value contains no Boolean. Only values are repeated in SQL, once, so that its length is proportional to that of
    the condition.
    """

    sql: str
    truth: bool = False
    real: tuple[str | float, ...] | None = None


@dataclass(slots=True)
class _Reader:
    """Recursive-descent parser with one method per rule."""

    text: str
    columns: Mapping[str, pa.DataType]
    names: Mapping[str, str]
    tokens: list[_Token] = field(default_factory=list)
    at: int = 0
    depth: int = 0
    values: list[str | float] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    reals: int = 0
    fractions: int = 0

    def __post_init__(self) -> None:
        place = 0
        while place < len(self.text):
            if self.text[place].isspace():
                place += 1
                continue
            match = _TOKEN.match(self.text, place)
            if match is None:
                character = self.text[place]
                what = "a quote that is never closed"
                if character not in "'\"":
                    what = f"{character!r}, which has no meaning; a column with it in its name goes in double quotes"
                self._stop(place, f"there is {what}")
            kind = str(match.lastgroup)
            token = _Token(kind, match[kind], place)
            if token.text in ("--", "/*") and kind == "sign":
                self._stop(place, "comments are not taken; write two minus signs apart")
            if kind == "name" and token.text.lower() in _KEYWORDS:
                token = _Token("keyword", token.text.lower(), place)
            self.tokens.append(token)
            place = match.end()
        self.tokens.append(_Token("end", "", place))

    def whole(self) -> str:
        part = self._truth(self._any())
        if self._now.kind != "end":
            self._unexpected("the end, or `and` or `or`")
        return part.sql

    @property
    def _now(self) -> _Token:
        return self.tokens[self.at]

    def _takes(self, *texts: str) -> str | None:
        """Step over the next token if it is one of these keywords or signs."""
        token = self._now
        if token.kind in ("keyword", "sign") and token.text in texts:
            self.at += 1
            return token.text
        return None

    def _needs(self, text: str) -> None:
        if not self._takes(text):
            self._unexpected(f"{text!r}")

    def _any(self) -> _Part:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            self._stop(self._now.place, f"it is nested more than {MOST_DEPTH} levels deep")
        part = self._joined("or", lambda: self._joined("and", self._negated))
        self.depth -= 1
        return part

    def _joined(self, word: str, rule: Callable[[], _Part]) -> _Part:
        parts = [rule()]
        while self._takes(word):
            parts.append(rule())
        if len(parts) == 1:
            return parts[0]
        return _Part("(" + f" {word.upper()} ".join(self._truth(part).sql for part in parts) + ")", truth=True)

    def _negated(self) -> _Part:
        negations = 0
        while self._takes("not"):
            negations += 1
        part = self._compared()
        if negations == 0:
            return part
        part = self._truth(part)
        return _Part(f"(NOT {part.sql})", truth=True) if negations % 2 else part

    def _compared(self) -> _Part:
        left = self._side()
        if sign := self._takes(*_COMPARISONS):
            return self._against(left, _COMPARISONS[sign], self._side())
        if self._takes("is"):
            negated = "NOT " if self._takes("not") else ""
            self._needs("null")
            return _Part(f"({left.sql} IS {negated}NULL)", truth=True)
        negated = "NOT " if self._takes("not") else ""
        if self._takes("between"):
            low = self._value(self._side())
            self._needs("and")
            return self._between(self._value(left), negated, low, self._value(self._side()))
        if self._takes("in"):
            self._needs("(")
            return _Part(f"({left.sql} {negated}IN ({', '.join(part.sql for part in self._list())}))", truth=True)
        if word := self._takes("like", "ilike"):
            pattern = self._value(self._sum())
            return _Part(f"({self._value(left).sql} {negated}{word.upper()} {pattern.sql})", truth=True)
        if negated:
            self._unexpected("`in`, `between` or `like` after `not`")
        return left

    def _side(self) -> _Part:
        """Parse a side of a comparison, and collect its checks for NaN."""
        values, reals = len(self.values), self.reals
        part = self._sum()
        if self.reals == reals or part.truth:
            return part
        return _Part(part.sql, real=tuple(self.values[values:]))

    def _against(self, left: _Part, sign: str, right: _Part) -> _Part:
        """Compare without NaN, which DuckDB treats as the largest number, so that `p_odd > 0.5` does not find it."""
        sql = f"{left.sql} {sign} {right.sql}"
        greater = {"<": right, "<=": right, ">": left, ">=": left}.get(sign)
        if greater is not None and greater.real is not None:
            sql += f" AND NOT isnan({greater.sql})"
            self.values += greater.real
        return _Part(f"({sql})", truth=True)

    def _between(self, left: _Part, negated: str, low: _Part, high: _Part) -> _Part:
        sql = f"{left.sql} BETWEEN {low.sql} AND {high.sql}"
        for part in (left, high):  # as in `_against`
            if part.real is not None:
                sql += f" AND NOT isnan({part.sql})"
                self.values += part.real
        return _Part(f"({negated}({sql}))" if negated else f"({sql})", truth=True)

    def _list(self) -> list[_Part]:
        """Parse values up to the closing bracket, after the opening one."""
        items = [self._sum()]
        while self._takes(","):
            items.append(self._sum())
        self._needs(")")
        return items

    def _sum(self) -> _Part:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/", "%", "&"), self._signed))

    def _chain(self, signs: tuple[str, ...], rule: Callable[[], _Part]) -> _Part:
        fractions, part, used = self.fractions, rule(), [""]
        sql = part.sql
        while sign := self._takes(*signs):
            self._value(part)
            # In SQL `&` binds less tightly than `*`; here they have the same precedence, from left to right.
            sql = f"({sql})" if "&" in (sign, used[-1]) else sql
            sql += f" {sign} {self._value(rule()).sql}"
            used.append(sign)
            if len(used) > MOST_TERMS:
                self._stop(self._now.place, f"a sum or a product has at most {MOST_TERMS} terms")
        if len(used) == 1:
            return part
        self.reals += not _REALS.isdisjoint(used) or self.fractions > fractions  # 1e308 * 10 - 1e308 * 10 is NaN
        return _Part(f"({sql})")

    def _signed(self) -> _Part:
        minus = False
        while sign := self._takes("-", "+"):
            minus ^= sign == "-"
        part = self._single()
        if minus and part.sql == "?" and isinstance(self.values[-1], int | float):
            self.values[-1] = -self.values[-1]  # the smallest 64-bit integer has no positive counterpart
            return part
        return _Part(f"(- {self._value(part).sql})") if minus else part

    def _single(self) -> _Part:
        token = self._now
        if token.kind == "number":
            self.at += 1
            # Ids of 19 digits are common, and as floats a hundred of them would be equal.
            whole = token.text.isdigit() and len(token.text) <= 20 and int(token.text) < _WHOLE
            self.values.append(int(token.text) if whole else float(token.text))
            self.fractions += not whole
            return _Part("?")
        if token.kind == "text":
            self.at += 1
            self.values.append(token.text.replace("''", "'"))
            return _Part("?")
        if self._takes("true", "false"):
            return _Part(token.text.upper(), truth=True)
        if token.kind == "quoted":
            self.at += 1
            return self._column(token.text.replace('""', '"'))
        if token.kind == "name":
            self.at += 1
            return self._function(token) if self._takes("(") else self._column(token.text)
        if self._takes("("):
            part = self._any()
            self._needs(")")
            return part
        self._unexpected("a column, a number or a text in single quotes")

    def _function(self, token: _Token) -> _Part:
        name = token.text.lower()
        if name not in FUNCTIONS:
            raise UnknownNameError("function", token.text, FUNCTIONS, where="that a condition may use")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            self._stop(token.place, f"it is nested more than {MOST_DEPTH} levels deep")
        items = self._list()
        self.depth -= 1
        least, most = FUNCTIONS[name]
        if not least <= len(items) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            self._stop(token.place, f"{name} takes {wanted} values, received {len(items)}")
        self.reals += name in _REALS
        # Of Booleans, coalesce, least and greatest give a Boolean.
        truths = name in _CHOICES and all(item.truth for item in items)
        listed = ", ".join(item.sql if truths else self._value(item).sql for item in items)
        return _Part(f"{name}({listed})", truth=truths or name in _TRUTHS)

    def _column(self, name: str) -> _Part:
        if name not in self.columns:
            alike = [column for column in self.columns if column.casefold() == name.casefold()]
            if len(alike) != 1:
                if name.lower() in _STATEMENTS:
                    self._stop(self.tokens[self.at - 1].place, f"{name!r} is a statement; a condition compares columns")
                where = f"in the catalogue{self._about_quotes(name)}"
                raise UnknownNameError("column", name, self.columns, where=where)
            name = alike[0]
        type_ = self.columns[name]
        if pa.types.is_nested(type_):
            self._stop(self.tokens[self.at - 1].place, f"the column {name} holds lists, not values")
        self.used.add(name)
        self.reals += pa.types.is_floating(type_)
        return _Part(quoted(self.names.get(name, name)), truth=pa.types.is_boolean(type_))

    def _about_quotes(self, name: str) -> str:
        """Return a hint about missing quotes around an unknown name; empty if there is none."""
        longer = next((one for one in self.columns if one.startswith(name) and not one.isidentifier()), None)
        if longer is not None:
            return f' (write a name that is not a plain word in double quotes, "{longer}")'
        before = self.tokens[self.at - 2].text if self.at > 1 else ""
        return f" (write text in single quotes, '{name}')" if before in _BEFORE_TEXT else ""

    def _truth(self, part: _Part) -> _Part:
        if not part.truth:
            self._stop(self._now.place, "the part before it is a value, not a condition; compare it: p_ringed > 0.5")
        return part

    def _value(self, part: _Part) -> _Part:
        if part.truth:
            self._stop(self._now.place, "the part before it is a condition, and a value is needed there")
        return part

    def _unexpected(self, wanted: str) -> NoReturn:
        token = self._now
        found = "it ends" if token.kind == "end" else f"there is {self.text[token.place :].split()[0][:30]!r}"
        self._stop(token.place, f"{found} where {wanted} was expected")

    def _stop(self, place: int, why: str) -> NoReturn:
        start = max(place - 30, 0)
        before = ("..." if start else "") + self.text[start:place]
        message = f"the condition cannot be understood after {before!r} (character {place + 1}): {why}"
        raise UsageError(message)
