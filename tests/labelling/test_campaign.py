"""Campaigns: answers per galaxy, known galaxies among the others, feedback, and the field guide."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

from labelling_pages import HERE, form
from peculiar.errors import LabelError, NotFoundError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.labelling.answers import agreement, export_labels
from peculiar.labelling.campaign import Campaign, Entry, read_campaign, read_gold
from peculiar.labelling.consensus import consensus
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.gold import GOLD, GOLD_TOLD, gold_skills
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guide import read_guide
from peculiar.labelling.web.pictures import Pictures
from peculiar.labelling.web.serve import open_session
from peculiar.labelling.web.session import Session, Task
from peculiar.questions.question import Question, Tree
from peculiar.questions.question_file import find_tree
from peculiar.sources import MemorySource
from peculiar.tables.reader import TableReader

SHELL = Question("shell", ("no", "yes"), ("smooth", "arcs"))
TREE = Tree("shell", (SHELL,))
IDS = [f"g{row}" for row in range(24)]


class Nothing(Pictures):
    """Pictures that are never looked at."""

    def __init__(self) -> None:
        super().__init__(MemorySource([np.zeros((4, 4, 3), np.uint8)] * len(IDS), IDS))

    def prepare(self, *_: object) -> None:
        """Do nothing."""


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        yield opened


def ask(session: Session, who: str) -> Task | None:
    return session.next(who)


def say(session: Session, who: str, answer: str) -> Task | None:
    """Answer what is asked, or "unsure" or "skip"; return it, None if nothing is asked."""
    task = session.next(who)
    if task is not None:
        number = task.question.answers.index(answer) if answer in task.question.answers else None
        kind = answer if number is None else "answer"
        session.answer(who, task.row, task.question.name, task.event, kind, number, 1.0, task.chosen)
    return task


def opened(labels: Labels, tree: Tree = TREE, **rules: Any) -> Session:
    return Session(IDS, Nothing(), tree, labels, campaign=Campaign(**rules))


@pytest.mark.parametrize(("answers", "agree"), [(1, None), (3, None), (3, 2)])
def test_every_galaxy_gets_its_answers_and_leaves_the_queue(labels: Labels, answers: int, agree: int | None) -> None:
    session = opened(labels, answers=answers, agree=agree)
    for number, who in itertools.product(range(len(IDS)), "ABCDE"):
        # E differs from the others; with three answers and two that agree, some galaxies end after two.
        if number % 3 == 0 and who == "C":
            session = opened(labels, answers=answers, agree=agree)  # a restart changes nothing
        say(session, who, "no" if who == "E" else "yes")
    votes = labels.votes("shell")
    assert set(votes) == set(IDS)
    assert {count.total() for count in votes.values()} <= ({answers} if agree is None else {2, 3})
    if agree is not None:
        assert all(max(count.values()) >= agree for count in votes.values())
    assert session.retired() == len(IDS)
    assert ask(session, "F") is None


def test_galaxies_that_others_began_come_first_and_skips_do_not_count(labels: Labels) -> None:
    session = opened(labels, answers=2)
    begun = [say(session, "A", answer) for answer in ("yes", "skip", "unsure", "no")]
    rows = [task.row for task in begun if task is not None]
    seen = [say(session, "B", "yes") for _ in range(4)]
    assert [task.row for task in seen if task is not None][:3] == [rows[0], rows[2], rows[3]]
    assert session.retired() == 3
    undone = session.undo("B", "undo-of-b1", labels.current("shell", "B")[0].event)
    assert undone == rows[0]
    assert session.retired() == 2


def test_in_a_tree_whole_paths_agree(labels: Labels) -> None:
    where = Question("where", ("in", "out"))
    session = opened(labels, Tree("t", (SHELL, where), {("shell", "yes"): "where"}), answers=5, agree=2)
    for who, last in (("A", "in"), ("B", "out")):
        say(session, who, "yes")
        assert session.retired() == 0
        say(session, who, last)
    assert session.retired() == 0
    say(session, "C", "yes")
    say(session, "C", "out")
    assert session.retired() == 1


FEEDBACK = r'class="feedback"( data-right)?'

GOLD_ROWS = {f"g{row}": {"shell": "yes" if row % 2 else "no"} for row in range(10, 14)}


def test_known_galaxies_come_at_the_stated_rate_and_look_like_the_others(labels: Labels) -> None:
    session = opened(labels, gold=GOLD_ROWS, gold_every=5)
    places = {}
    for who in "AB":
        tasks = [say(session, who, "yes") for _ in range(20)]
        places[who] = [number for number, task in enumerate(tasks) if task and task.id in GOLD_ROWS]
        assert Counter(number // 5 for number in places[who]) == dict.fromkeys(range(4), 1)
        assert {task.chosen for task in tasks if task} == {"random"}
    assert places["A"] != places["B"]
    assert {one.chosen for one in labels.current("shell") if one.galaxy in GOLD_ROWS} == {GOLD}
    assert {one.chosen for one in labels.current("shell") if one.galaxy not in GOLD_ROWS} == {"random"}
    again = ask(opened(labels, gold=GOLD_ROWS, gold_every=5), "A")
    assert again is not None
    assert again.id not in GOLD_ROWS
    assert session.feedback("A", labels.current("shell", "A")[0].event) is None


def test_skill_on_known_galaxies_is_told_wherever_agreement_is(labels: Labels, tmp_path: Path) -> None:
    session = opened(labels, gold=GOLD_ROWS, gold_every=2, answers=2)
    for _ in range(8):
        say(session, "Ada", "yes")
        say(session, "Bob", "no")
    (first, second) = session.summary(SHELL)["gold"]
    assert first.compared == second.compared == 4
    assert {first.agreed, second.agreed} == {0.5}
    assert "Ada is right on 0.50 (0.15 to 0.85) of 4 known galaxies" in agreement(labels.path).lines()
    found = consensus(labels.path)
    found.write_annotators(tmp_path / "a.csv")
    table = TableReader(tmp_path / "a.csv")
    assert table.column("gold_answers") == ["4", "4"]
    assert "Bob is right on 0.50" in repr(found)
    assert export_labels(labels.path, tmp_path / "c.csv", "consensus") == len(labels.votes("shell"))


def said(number: int, answer: str, chosen: str, kind: str = "answer", **more: Any) -> Event:
    return Event(f"event-{number:03d}", kind, "Ada", "g1", "shell", answer, chosen=chosen, **more)


@pytest.mark.parametrize(
    ("events", "right"),
    [
        ([said(1, "yes", GOLD)], True),
        ([said(1, "no", GOLD), said(2, "yes", GOLD)], True),
        ([said(1, "no", GOLD_TOLD), said(2, "yes", GOLD_TOLD)], False),
        ([said(1, "no", GOLD), said(2, "", "", "undo", undoes="event-001"), said(3, "yes", GOLD)], True),
        ([said(1, "no", GOLD_TOLD), said(2, "", "", "undo", undoes="event-001"), said(3, "yes", GOLD_TOLD)], False),
        ([said(1, "yes", GOLD), said(2, "", "", "undo", undoes="event-001")], None),
        ([said(1, "", GOLD, "unsure")], None),
        ([said(1, "", GOLD, "skip"), said(2, "yes", GOLD)], True),
    ],
)
def test_which_answer_for_a_known_galaxy_counts(events: list[Event], right: bool | None) -> None:
    found = gold_skills(events, {"g1": "yes"})
    assert [one.agreed for one in found] == ([] if right is None else [float(right)])


def written(tmp_path: Path, more: str, question: str = 'name = "shell"\nanswers = ["no", "yes"]\n') -> Path:
    path = tmp_path / "shell.toml"
    path.write_text(question + more)
    return path


def test_a_file_says_all_of_a_campaign(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("id,shell\ng1,Yes\ng2,no\ng3,\n")
    (tmp_path / "arc.png").write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8)))
    more = """
[campaign]
answers = 5
agree = 3
gold = "known.csv"
gold_every = 7
feedback = true
[[guide]]
answer = "yes"
note = "arcs"
picture = "arc.png"
[[guide]]
note = "Zoom first."
"""
    for question in ("", 'name = "mine"\nlike = "odd"\n'):
        path = written(tmp_path, more.replace('"yes"', '"odd"').replace("known", "odd") if question else more, question)
        (tmp_path / "odd.csv").write_text("id,label\ng1,odd\n")
        if not question:
            path = written(tmp_path, more)
        tree = find_tree(str(path))
        found = read_campaign(str(path), tree)
        assert (found.answers, found.agree, found.gold_every, found.feedback) == (5, 3, 7, True)
        assert found.note(tree.root, tree.root.answers[1]) == "arcs"
        assert found.guide[1].note == "Zoom first."
    assert read_gold(tmp_path / "known.csv", TREE) == {"g1": {"shell": "yes"}, "g2": {"shell": "no"}}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[campaign]\nanswer = 3", "'answer' is not known"),
        ("[campaign]\nanswers = 0", "'answers' has to be a whole number from 1 to 1000; received 0"),
        ("[campaign]\nanswers = true", "received True"),
        ("[campaign]\nagree = 2", "'agree' needs 'answers'"),
        ("[campaign]\nanswers = 2\nagree = 2", "'agree' has to be less than 'answers'"),
        ("[campaign]\nfeedback = true", "'feedback' needs 'gold'"),
        ("[campaign]\ngold = 3", "the path of a table; received 3"),
        ("campaign = 3", r"written as \[campaign\]"),
        ("guide = 3", r"written as \[\[guide\]\]"),
        ('[[guide]]\nanswer = "yes"', "guide 1: it needs a note or a picture"),
        ('[[guide]]\nanswer = "maybe"\nnote = "x"', "no question has the answer 'maybe'"),
        ('[[guide]]\nquestion = "ring"\nnote = "x"', "there is no question 'ring'; there are shell"),
        ('[[guide]]\npicture = "none.png"', "there is no picture at"),
        ("[[guide]]\nnote = 3", "'note' has to be text"),
        ('[[guide]]\nnote = "x"\nsize = 3', "'size' is not known"),
    ],
)
def test_what_is_wrong_in_the_file_of_a_campaign_is_told(tmp_path: Path, more: str, says: str) -> None:
    path = written(tmp_path, more)
    with pytest.raises(LabelError, match=says):
        read_campaign(str(path), find_tree(str(path)))


def test_a_table_of_known_galaxies_has_answers(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text("id,ring\ng1,yes\n")
    with pytest.raises(LabelError, match="no column has known answers; name it as the question, 'shell'"):
        read_gold(path, TREE)
    path.write_text("id,label\ng1,perhaps\n")
    with pytest.raises(LabelError, match="not answers to 'shell'"):
        read_gold(path, TREE)
    with pytest.raises(NotFoundError):
        read_gold(tmp_path / "none.csv", TREE)


@pytest.fixture
def campaign(tmp_path: Path, tiny_survey: Path) -> Path:
    ids = pyarrow.parquet.read_table(tiny_survey, columns=["id"])["id"].to_pylist()[:8]
    (tmp_path / "known.csv").write_text("id,shell\n" + "".join(f"{id_},yes\n" for id_ in ids))
    (tmp_path / "arc.png").write_bytes(encode_picture(np.full((8, 16, 3), 90, np.uint8)))
    rules = '[campaign]\nanswers = 2\ngold = "known.csv"\ngold_every = 2\nfeedback = true\n'
    guide = '[[guide]]\nanswer = "yes"\nnote = "<b>arcs</b>"\npicture = "arc.png"\n'
    return written(tmp_path, rules + guide)


@pytest.fixture
def client(campaign: Path, tiny_survey: Path, labels: Labels) -> Iterator[TestClient]:
    session = open_session(tiny_survey, labels, question=str(campaign))
    with TestClient(make_app(session), base_url=HERE, follow_redirects=False) as client:
        yield client
    session.pictures.close()


def test_feedback_comes_after_the_answer_and_the_page_before_tells_nothing(client: TestClient, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    told: list[str] = []
    for number in range(8):
        assert "gold" not in page
        got = client.post("/answer", data=form(page) | {"choice": str(number % 2)}, headers={"HX-Request": "true"})
        page = got.text
        found = re.findall(FEEDBACK, page)
        assert ("&lt;b&gt;arcs&lt;/b&gt;" in page) == bool(found)
        told += found
    assert len(told) == 4
    known = [one for one in labels.current("shell") if one.chosen == GOLD_TOLD]
    assert told == [" data-right" if one.answer == "yes" else "" for one in known]
    assert "Known galaxies" in client.get("/progress").text
    # Without JavaScript, the next page tells it.
    for _ in range(2):
        done = client.post("/answer", data=form(client.get("/").text) | {"choice": "0"})
        assert done.headers["location"].startswith("/?answered=")
        told += re.findall(FEEDBACK, client.get(done.headers["location"]).text)
    assert len(told) == 5
    # Of somebody else's answer nothing is told.
    client.get("/?who=Bob")
    assert 'class="feedback' not in client.get(f"/?answered={known[0].event}").text


def test_the_field_guide_is_a_key_away(client: TestClient) -> None:
    page = client.get("/?who=Ada").text
    assert 'href="/guide" data-key="g"' in page
    assert page.count('<dialog id="guide"') == 1
    for found in (page, client.get("/guide").text):
        (address,) = re.findall(r'src="(/guide/\d+\.jpg)', found)
    assert client.get(address).headers["content-type"] == "image/jpeg"
    assert client.get("/guide/1.jpg").status_code == 400


def test_without_a_campaign_nothing_of_it_is_seen(labels: Labels, tiny_survey: Path) -> None:
    session = open_session(tiny_survey, labels, question="odd")
    with TestClient(make_app(session), base_url=HERE) as client:
        seen = client.get("/?who=Ada").text + client.get("/progress").text
        assert client.get("/guide").status_code == 404
    session.pictures.close()
    assert not re.search("guide|nown galax|of their answers", seen)


def test_known_galaxies_have_to_be_there(tmp_path: Path, campaign: Path, labels: Labels) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(UsageError, match=r"has none of the 8 known galaxies, which are like 'sim-000'"):
        open_session(pictures, labels, question=str(campaign))


def test_a_picture_of_the_field_guide_has_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "arc.png").write_text("no picture")
    with pytest.raises(LabelError, match=r"arc\.png: this picture of the field guide cannot be read"):
        read_guide([Entry(note="arcs", picture=tmp_path / "arc.png")])
