"""Read the forms and galaxies of labelling pages in tests."""

import html
import re

HERE = "http://127.0.0.1:8222"


def form(page: str, action: str = "/answer") -> dict[str, str]:
    """The hidden fields of a form."""
    part = re.search(rf'<form [^>]*action="{action}".*?</form>', page, re.DOTALL)
    assert part is not None, page
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part[0])
    return {name: html.unescape(value) for name, value in fields}


def shown(page: str) -> list[int]:
    return [int(row) for row in re.findall(r'href="/galaxy/(\d+)', page)]
