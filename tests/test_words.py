"""Words of users are never taken for words of ours: answers, questions, people, galaxies and columns of any name."""

import csv
import html
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from conftest import draw_galaxy
from peculiar.cli import app as cli
from peculiar.image import encode_picture
from peculiar.labels import KINDS, Event, Labels
from peculiar.schema import Question
from peculiar.search import best, parse_cone, query
from peculiar.shelf import Shelf
from peculiar.sources.labelled import read_labels
from peculiar.table import TableReader
from peculiar.web.app import make_app
from peculiar.web.guard import Guard
from peculiar.web.serve import open_desk
from peculiar.web.wall import Asking, Wall
from peculiar.web.why import Why, _address

# Kinds of events, columns of our tables, what other programs write for nothing, words of forms and of SQL.
WORDS = [
    *KINDS,
    "none",
    "None",
    "null",
    "NULL",
    "NA",
    "N/A",
    "nan",
    "all",
    "other",
    "true",
    "0",
    "-1",
    "random",
    "asked for",
    "zooniverse",
    "id",
    "who",
    "at",
    "galaxy",
    "question",
    "events",
    "votes",
    "label",
    "labels",
    "agreement",
    "n_unsure",
    "seconds",
    "select",
]


def asked(tmp_path: Path, question: Question) -> Labels:
    labels = Labels(tmp_path / "labels.db")
    labels.ask(question)
    return labels


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_answer_may_be_called_as_anything(tmp_path: Path, word: str, kind: str) -> None:
    with asked(tmp_path, Question("q", (word, "an answer"))) as labels:
        for number, (who, said, answer) in enumerate(
            [("A", "answer", word), ("B", "answer", word), ("C", "unsure", ""), ("D", "skip", ""), ("E", "unsure", "")]
        ):
            labels.record(Event(f"event-{number:04d}", said, who, "g", "q", answer))
        assert labels.votes("q")["g"] == {word: 2, None: 2}
        for what in ("votes", "labels", "events"):
            labels.export(tmp_path / f"{what}.{kind}", "q", what)
    votes, events = (TableReader(tmp_path / f"{what}.{kind}") for what in ("votes", "events"))
    assert votes.columns == ("id", f"n_{word}", "n_an answer", "unsure")
    assert [int(votes.column(name)[0]) for name in votes.columns[1:]] == [2, 0, 2]
    assert events.column("kind") == ["answer", "answer", "unsure", "skip", "unsure"]
    assert [one or "" for one in events.column("answer")] == [word, word, "", "", ""]
    # What `teach` and `--labels` read.
    assert read_labels(tmp_path / f"labels.{kind}") == ("label", {"g": word})


@pytest.mark.parametrize("word", WORDS)
def test_a_question_a_person_and_a_galaxy_may_be_called_as_anything(tmp_path: Path, word: str) -> None:
    with asked(tmp_path, Question(word, ("no", "yes"))) as labels:
        labels.ask(Question("another one", ("no", "yes")))
        for who in (word, "Bob"):
            for number, (galaxy, answer) in enumerate((("g1", "yes"), ("g2", "no"), (word, "yes"))):
                name = f"event-{'word' if who == word else 'Bob'}-{number}"
                labels.record(Event(name, "answer", who, galaxy, word, answer))
    runner = CliRunner()
    done = runner.invoke(cli, ["labels", "agreement", "labels.db", "--question", word])
    assert f"{word}: 3 of 3 galaxies have answers of several people" in done.stdout
    assert f"{word} agrees with most of the others: 1.00" in done.stdout
    done = runner.invoke(cli, ["labels", "export", "labels.db", "--question", word, "--out", "out.csv"])
    assert done.exit_code == 0, done.output
    with Path("out.csv").open(newline="") as file:
        assert {row["id"]: row["label"] for row in csv.DictReader(file)} == {"g1": "yes", "g2": "no", word: "yes"}


def form(page: str, action: str) -> dict[str, str]:
    part = re.search(rf'<form action="{action}".*?</form>', page, re.DOTALL)
    assert part is not None
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part[0])
    }


@pytest.mark.parametrize("word", WORDS)
def test_the_desk_tells_answers_from_its_own_keys(tmp_path: Path, word: str) -> None:
    picture = encode_picture(draw_galaxy(32, 6, 16, 16))
    table = pa.Table.from_pylist([{"id": f"g{number}", "image": picture} for number in range(6)])
    pa.parquet.write_table(table, tmp_path / "data.parquet")
    name = word if re.fullmatch(r"\w[\w -]*", word) else "q"
    (tmp_path / "q.toml").write_text(f'name = "{name}"\nanswers = ["{word}", "an answer"]\n')
    with Labels(tmp_path / "labels.db") as labels:
        desk = open_desk(tmp_path / "data.parquet", labels, question=str(tmp_path / "q.toml"))
        with TestClient(Guard(make_app(desk)), base_url="http://127.0.0.1:8222") as client:
            page = client.get("/", params={"who": word}).text
            for choice in ("0", "unsure", "skip", "0", "1"):
                page = client.post("/answer", data=form(page, "/answer") | {"choice": choice}).text
            # The undo takes back the last one: "an answer".
            assert "an answer</span>" in page
            page = client.post("/undo", data=form(page, "/undo")).text
            told = client.get("/progress", params={"who": word, "question": name}).text
            cells = re.findall(r"<td>(\d+)</td>", told[told.index("<tbody>") : told.index("</tbody>")])
            assert cells == ["2", "0", "1", "1"]
            votes = client.get("/export/votes.csv", params={"question": name}).text
            rows = list(csv.reader(io.StringIO(votes)))
            assert rows[0] == ["id", f"n_{word}", "n_an answer", "unsure"]
            assert sorted(map(tuple, (row[1:] for row in rows[1:]))) == [
                ("0", "0", "1"),
                ("1", "0", "0"),
                ("1", "0", "0"),
            ]
        said = [(one.kind, one.answer) for one in labels.current(name)]
        assert said == [("answer", word), ("unsure", ""), ("skip", ""), ("answer", word)]
        desk.pictures.close()


@pytest.mark.parametrize("word", [*WORDS, "a/b", "a//b/", "%2F", "ü&=#?"])
def test_an_answer_to_explain_is_told_from_its_question(word: str) -> None:
    asked = {question: [_address(question), _address(question, "x/y")] for question in (word, "q")}
    seen: list[tuple[str | None, str | None]] = []

    class Model:
        def asking(self, question: str | None, **_: Any) -> "Model":
            seen.append((question, None))
            return self

    why = Why(Model(), None)  # type: ignore[arg-type]
    for question, addresses in asked.items():
        for address in addresses:
            with pytest.raises(AttributeError):
                why.draw(0, address)
            assert address.count("/") == (address == addresses[1])
        assert asked[question][0] != asked[question][1]
    assert len({one for addresses in asked.values() for one in addresses}) == 4


@pytest.mark.parametrize("word", [*WORDS, "and", "not", "in", "met", "ordered", "catalog", "rows", "distance", "score"])
def test_a_column_may_be_called_as_anything(tmp_path: Path, word: str) -> None:
    name = word if word != "id" else "Id"
    table = pa.table({"id": ["a", "b", "c"], name: [1.0, 2.0, 3.0], "ra": [10.0, 10.1, 50.0], "dec": [0.0, 0.0, 0.0]})
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    shelf = Shelf(tmp_path / "c.parquet")
    cone = parse_cone("10,0,1")
    hits = query(shelf, f'"{name}" > 1', by=f"-{name}", top=None)
    assert hits.ids == ["b", "c"]
    assert hits.table[name].to_pylist() == [2.0, 3.0]
    hits = query(shelf, f'"{name}" >= 1', cone=cone)
    assert hits.ids == ["a", "b"]
    # What a search adds never takes the place of a column of the user's.
    assert hits.table[name].to_pylist() == [1.0, 2.0]
    assert hits.table[hits.columns[-1].name].to_pylist() == pytest.approx([0, 0.1])
    scored = best(shelf, table["ra"].to_numpy(), 2, "how far")
    assert (scored.table[name].to_pylist(), scored.ids) == ([3.0, 2.0], ["c", "b"])
    assert scored.table[scored.columns[-1].name].to_pylist() == pytest.approx([50, 10.1])
    wall = Wall(shelf, None, ["a", "b", "c"])  # type: ignore[arg-type]
    found = wall.table(Asking(where=f'"{name}" > 1', cone="10,0,1"))
    assert (found.table[name].to_pylist(), found.ids) == ([2.0], ["b"])
