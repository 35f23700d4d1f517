"""The galaxies to show and their order, as the fields of an address. No web code."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from peculiar.catalogs.where import quoted
from peculiar.errors import UsageError

Typed = Annotated[str, StringConstraints(max_length=1000)]
Numbers = Annotated[str, StringConstraints(max_length=100)]
Outline = Annotated[str, StringConstraints(max_length=1000)]
Size = Annotated[str, StringConstraints(pattern=r"^[sl]?$")]

FLAGS = "flags"
"""Column whose values are sums of bits."""

_End = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None

Range = tuple[_End, _End]
Narrow = Mapping[str, Range | list[str]]
"""By column, the least value and the value below which it has to be, or the texts of which it has to be one."""

_NARROW: TypeAdapter[dict[str, Range | list[str]]] = TypeAdapter(dict[str, Range | list[str]])


@dataclass(frozen=True, slots=True)
class Selection:
    """The galaxies to show and their order, as text.

    Parameters
    ----------
    where, cone, by : str
        As for `peculiar search`; empty for all galaxies, everywhere, in the order of the catalogue.
    sky : str
        A rectangle on the sky: right ascension from and to, eastwards, declination from and to, in degrees; or a lasso.
    map : str
        A rectangle on the similarity map: from and to, each 0 to 1, to the right and upwards; or a lasso.
    review : str
        A further condition, on the answers of annotators.
    about : str
        The question of a tree whose answers are meant; empty for the one that is learned.
    narrow : str
        Further conditions, on single columns, as JSON: ``{"p_odd": [0.5, null], "class": ["Ringed"]}``.
    size : str
        Size of the pictures: "s", "l", or empty for the usual one.
    """

    where: Typed = ""
    cone: Numbers = ""
    by: Typed = ""
    sky: Outline = ""
    map: Outline = ""
    review: Typed = ""
    about: Annotated[str, StringConstraints(max_length=64)] = ""
    narrow: Typed = ""
    size: Size = ""

    def query(self, **more: object) -> str:
        """Return the selection as the query string of an address."""
        fields = self.fields() | more
        return urlencode({name: value for name, value in fields.items() if value not in ("", None)})

    def fields(self) -> dict[str, str]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def found(self) -> "Selection":
        """What decides which galaxies are found, and their order."""
        return replace(self, sky="", map="", size="")

    def narrowed(self) -> dict[str, Range | list[str]]:
        """Return the conditions on single columns.

        Raises
        ------
        UsageError
            If they are not such conditions.
        """
        if not self.narrow:
            return {}
        try:
            return _NARROW.validate_json(self.narrow)
        except ValidationError as error:
            message = (
                'narrow holds conditions on columns as JSON, as in {"p_odd": [0.5, null], "class": ["Ringed"]}; '
                f"received {self.narrow[:200]!r}"
            )
            raise UsageError(message) from error

    def without(self, column: str) -> "Selection":
        """Return the selection without the condition on a single column."""
        left = {name: values for name, values in self.narrowed().items() if name != column}
        return self.narrowing(left)

    def narrowing(self, conditions: Narrow) -> "Selection":
        """Return the selection with these conditions on single columns instead."""
        text = _NARROW.dump_json(dict(conditions)).decode() if conditions else ""
        return replace(self, narrow=text)

    def condition(self, columns: Container[str]) -> str:
        """Return all conditions as one.

        Parameters
        ----------
        columns : container of str
            Columns of the catalogue, without those of answers.
        """
        parts = [one for one in (self.where, self.review) if one]
        parts += [_condition(name, values, columns) for name, values in self.narrowed().items()]
        return parts[0] if len(parts) == 1 else " and ".join(f"({one})" for one in parts)


def _condition(name: str, values: Range | list[str], columns: Container[str]) -> str:
    column = quoted(name)
    if isinstance(values, tuple):
        low, high = values
        ends = [] if low is None else [f"{column} >= {low!r}"]
        ends += [] if high is None else [f"{column} < {high!r}"]
        return " and ".join(ends) or f"{column} is not null"
    if name == FLAGS and name in columns and all(one.isdecimal() for one in values):
        return " or ".join(f"{column} & {bit} > 0" if int(bit) else f"{column} = 0" for bit in values) or "false"
    return f"{column} in ({', '.join(_text(one) for one in values)})" if values else "false"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
