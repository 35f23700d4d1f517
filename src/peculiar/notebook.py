"""Notebooks: whether this is one, figures shown in it, and the HTML of objects that it prints."""

import base64
import html
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NewType

from peculiar.text import shown

Markup = NewType("Markup", str)
"""HTML in which everything is escaped that has to be."""

_STYLE = {
    "card": "font-size:13px;line-height:1.45",
    "table": "border-collapse:collapse;margin:6px 0;font-size:inherit",
    "th": "text-align:left;padding:2px 10px 2px 0;font-weight:600",
    "td": "text-align:left;padding:2px 10px 2px 0;vertical-align:middle;white-space:nowrap",
    "box": "display:inline-block;width:80px;height:9px;background:rgba(128,128,128,.22);vertical-align:middle",
    "bar": "display:block;height:9px;background:#0072B2",
}


def in_notebook() -> bool:
    """Return whether this process runs the cells of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def show_inline(figure: Any) -> bool:
    """Show a figure below the cell of a notebook that runs; elsewhere do nothing.

    Parameters
    ----------
    figure : object
        Whatever a notebook can show, such as a figure of `peculiar.reports`.

    Returns
    -------
    bool
        Whether it was shown.
    """
    if not in_notebook():
        return False
    importlib.import_module("IPython.display").display(figure)
    return True


def escaped(text: object) -> Markup:
    """Return text as HTML; what is not printable in it is written as escapes."""
    return Markup(html.escape(shown(str(text))))


def card(title: str, parts: Iterable[Markup]) -> str:
    """Return what a notebook prints of an object: a title, and parts below each other."""
    body = "".join(f"<div>{part}</div>" for part in parts)
    return f'<div style="{_STYLE["card"]}"><div><b>{escaped(title)}</b></div>{body}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[Markup]]) -> Markup:
    """Return a table."""
    top = "".join(f'<th style="{_STYLE["th"]}">{escaped(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_STYLE["td"]}">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    return Markup(f'<table style="{_STYLE["table"]}"><tr>{top}</tr>{body}</table>')


def bar(share: float, text: str) -> Markup:
    """Return a bar that is filled up to a share, 0 to 1, and a text beside it."""
    filled = round(100 * min(max(share, 0.0), 1.0))
    return Markup(
        f'<span style="{_STYLE["box"]}"><span style="{_STYLE["bar"]};width:{filled}%"></span></span> {escaped(text)}'
    )


def thumbnail(content: bytes, title: str, *, side: int = 64) -> Markup:
    """Return a small picture, given as PNG or JPEG, with a title that is seen when it is pointed at."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(content).decode()
    told = escaped(title)
    return Markup(
        f'<img src="data:image/{kind};base64,{data}" width="{side}" height="{side}" alt="{told}" title="{told}" '
        'style="margin:1px">'
    )


def counts(numbers: dict[str, int]) -> Markup:
    """Return numbers by name, each with a bar; the longest bar is the largest number."""
    most = max(numbers.values(), default=0) or 1
    rows = [[escaped(name), bar(count / most, f"{count:,}")] for name, count in numbers.items()]
    return table(["class", "galaxies"], rows) if rows else Markup("")
