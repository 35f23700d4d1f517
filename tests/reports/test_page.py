"""The page: text is text, every figure is described, and nothing comes from elsewhere."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import jinja2
import numpy as np
import pytest
from PIL import Image

from peculiar.metrics.scores import evaluate
from peculiar.reports.page import Picture, Section, Strip, score_table, write_page
from peculiar.text import format_score

MARKUP = "<script>alert('odd & even')</script>"


HOSTILE = "a\u202eb\u2066c\x1b[31m\x07\x85d"
ESCAPED = r"a\u202eb\u2066c\x1b[31m\x07\x85d"


class Page(HTMLParser):
    """Elements with their attributes, and text by the element that it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def write(path: Path, *sections: Section, title: str = "Title", lead: str = "Lead.") -> Page:
    assert write_page(path, title, lead, sections) == path
    return Page(path.read_text(encoding="utf-8"))


FULL = Section(
    "Galaxies",
    ["One paragraph.", "Another."],
    table=[["class", "meaning", "share"], ["Ringed", "has a ring", "0.2"], ["Other", "below", "below"]],
    text_columns=2,
    figures=[Picture("activations/one.png", "What is to be seen."), Picture("two.png", "And this.")],
    code="a  b\n  c",
)


def test_everything_is_on_the_page(tmp_path: Path) -> None:
    page = write(tmp_path / "new" / "index.html", FULL, Section("Empty"), title="Normal, or other?", lead="The lead.")
    assert page.texts["title"] == page.texts["h1"] == ["Normal, or other?"]
    assert page.texts["h2"] == ["Galaxies", "Empty"]
    assert page.texts["p"] == ["The lead.", "One paragraph.", "Another."]
    assert page.texts["pre"] == ["a  b\n  c"]
    assert page.texts["th"] == ["class", "meaning", "share"]
    assert page.texts["td"] == ["Ringed", "has a ring", "0.2", "Other", "below", "below"]
    assert page.texts["figcaption"] == ["What is to be seen.", "And this."]
    assert re.fullmatch(r"Made with peculiar \d+\.\d+.*\.", page.texts["footer"][0])
    # What is empty leaves no trace.
    for tag, count in (("section", 2), ("table", 1), ("pre", 1), ("figure", 2)):
        assert len(page.all(tag)) == count


def test_every_figure_is_described_and_leads_to_its_file(tmp_path: Path) -> None:
    page = write(tmp_path / "index.html", FULL)
    assert [(image["src"], image["alt"]) for image in page.all("img")] == [
        ("activations/one.png", "What is to be seen."),
        ("two.png", "And this."),
    ]
    assert [link["href"] for link in page.all("a")] == ["activations/one.png", "two.png"]


def test_names_of_files_are_addresses(tmp_path: Path) -> None:
    name = 'a b/100% "odd" #1?.png'
    page = write(tmp_path / "index.html", Section("", figures=[Picture(name, 'A "figure".')]))
    (image,) = page.all("img")
    assert not set(image["src"] or "") & set(' "#?')
    assert unquote(image["src"] or "") == name
    assert image["alt"] == 'A "figure".'


def test_words_and_verdicts_are_marked(tmp_path: Path) -> None:
    table = [["score", "found"], ["accuracy", "as expected"], ["AUC", "above the range"], ["below the range", "0.5"]]
    page = write(tmp_path / "index.html", Section("", table=table))
    assert [cell.get("class") for cell in page.all("th")] == ["words", None]
    # A class that is called "below the range" is no verdict.
    assert [cell.get("class") for cell in page.all("td")] == ["words", "good", "words", "bad", "words", None]
    assert {cell["scope"] for cell in page.all("th")} == {"col"}


def test_markup_is_text_wherever_it_stands(tmp_path: Path) -> None:
    section = Section(
        MARKUP, [MARKUP], table=[[MARKUP], [MARKUP]], figures=[Picture('"><b>.png', MARKUP + '"')], code=MARKUP
    )
    page = write(tmp_path / "index.html", section, title=MARKUP, lead=MARKUP)
    assert page.all("script") == page.all("b") == []
    for tag in ("title", "h1", "h2", "pre", "th", "td", "figcaption"):
        assert "".join(page.texts[tag]).rstrip('"') == MARKUP
    assert "".join(page.texts["p"]) == MARKUP * 2
    assert page.all("img")[0]["alt"] == MARKUP + '"'


def test_a_page_asks_no_other_host(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    page = write(path, FULL)
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|javascript:|data:", text, re.IGNORECASE)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {name for name, _ in page.elements}
    addresses = [
        value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")
    ]
    assert addresses
    assert not any(":" in (address or "") or (address or "").startswith("/") for address in addresses)


def test_the_page_says_its_language_and_alphabet(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    page = write(path, Section("Größe – ☉"))
    assert path.read_bytes().startswith(b"<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("meta")[0] == {"charset": "utf-8"}
    assert page.texts["h2"] == ["Größe – ☉"]


def test_a_failure_keeps_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text("the old one")
    with pytest.raises(jinja2.UndefinedError):
        write_page(path, "title", "lead", ["not a section"])  # type: ignore[list-item]
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_score_table_says_what_is_not_defined() -> None:
    scores = evaluate([0, 0, 1], np.eye(4)[[0, 1, 1]], ("Normal", "Ringed", "<script>", "Other"))
    assert score_table(scores) == [
        ["class", "galaxies", "precision", "recall", "F1", "AUC"],
        ["Normal", "2", "1.000", "0.500", "0.667", "0.750"],
        ["Ringed", "1", "0.500", "1.000", "0.667", "0.750"],
        ["<script>", "0", "undefined", "undefined", "undefined", "undefined"],
        ["Other", "0", "undefined", "undefined", "undefined", "undefined"],
    ]


def test_a_score_table_goes_onto_a_page_as_it_is(tmp_path: Path) -> None:
    table = score_table(evaluate([0, 0], [[1, 0], [0, 1]], ("<script>", "<b>")))
    page = write(tmp_path / "index.html", Section("Scores", table=table))
    assert page.texts["td"] == [cell for row in table[1:] for cell in row]
    assert page.all("script") == page.all("b") == []


@pytest.mark.parametrize(
    ("value", "text"), [(None, "undefined"), (0.0, "0.000"), (1.0, "1.000"), (0.12349, "0.123"), (12.5, "12.500")]
)
def test_scores_have_three_digits(value: float | None, text: str) -> None:
    assert format_score(value) == text


def test_figures_say_how_large_they_are_before_they_are_loaded(tmp_path: Path) -> None:
    drawn = io.BytesIO()
    Image.new("RGB", (30, 20)).save(drawn, "PNG")
    (tmp_path / "there.png").write_bytes(drawn.getvalue())
    figures = [Picture("held.pdf", "Held.", drawn.getvalue()), Picture("there.png", "There."), Picture("no.png", "No.")]
    pictures = write(tmp_path / "index.html", Section("Figures", figures=figures)).all("img")
    assert [(one.get("width"), one.get("height")) for one in pictures] == [("30", "20"), ("30", "20"), (None, None)]


@pytest.mark.parametrize(
    "section",
    [
        Section(HOSTILE),
        Section("", text=[HOSTILE]),
        Section("", table=[["name"], [HOSTILE]]),
        Section("", table=[[HOSTILE], ["x"]]),
        Section("", figures=[Picture("a.png", HOSTILE)]),
        Section("", gallery=[Strip(["data:,"], HOSTILE)]),
        Section("", code=f"first\n{HOSTILE}\nlast"),
    ],
)
def test_nothing_in_a_page_controls_or_turns_text(section: Section, tmp_path: Path) -> None:
    text = write_page(tmp_path / "page.html", HOSTILE, HOSTILE, [section]).read_text()
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count(ESCAPED) > 3  # the title twice, the lead, and the section
    assert not section.code or f"first\n{ESCAPED}\nlast" in text
