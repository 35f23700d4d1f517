"""Labelling sessions: decision trees, undo, several annotators, restarts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peculiar.errors import LabelError, UnknownNameError, UsageError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.pictures import Pictures
from peculiar.labelling.web.serve import open_session
from peculiar.labelling.web.session import REQUESTED, Session, Task
from peculiar.questions.question import Question, Tree
from peculiar.questions.question_file import find_tree
from peculiar.sources import open_source

SHELL, WHERE, SIDES = (
    Question("shell", ("no", "yes")),
    Question("where", ("inside", "outside")),
    Question("sides", ("one", "two")),
)
SHELLS = Tree(
    "shells",
    (SHELL, WHERE, SIDES),
    {("shell", "yes"): "where", ("where", "inside"): "sides", ("where", "outside"): "sides"},
)


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        yield opened


@pytest.fixture
def pictures(tiny_survey: Path) -> Iterator[Pictures]:
    opened = Pictures(open_source(tiny_survey))
    yield opened
    opened.close()


@pytest.fixture
def session(pictures: Pictures, labels: Labels) -> Session:
    return open_again(pictures, labels)


def open_again(pictures: Pictures, labels: Labels) -> Session:
    return Session([f"sim-{row:03d}" for row in range(100)], pictures, SHELLS, labels)


def say(session: Session, answer: str, who: str = "Ada", asked: Task | None = None) -> Task:
    """Answer what is asked, or "unsure" or "skip"; return it."""
    asked = asked or session.next(who)
    assert asked is not None
    number = asked.question.answers.index(answer) if answer in asked.question.answers else None
    kind = answer if number is None else "answer"
    session.answer(who, asked.row, asked.question.name, asked.event, kind, number, 1.0, asked.chosen)
    return asked


def ask(session: Session, who: str = "Ada") -> Task:
    asked = session.next(who)
    assert asked is not None
    return asked


def undo(session: Session, who: str = "Ada") -> int | None:
    last = ask(session, who).last
    assert last is not None
    return session.undo(who, f"{last.event[:40]}-undo", last.event)


def current(labels: Labels) -> dict[str, list[str]]:
    """The answers that count, by question."""
    return {name: [one.answer or one.kind for one in labels.current(name)] for name in labels.questions()}


def test_an_answer_leads_to_the_next_question_of_the_same_galaxy(session: Session, labels: Labels) -> None:
    first = say(session, "yes")
    second = say(session, "inside")
    third = say(session, "two")
    assert [one.question for one in (first, second, third)] == [SHELL, WHERE, SIDES]
    assert first.row == second.row == third.row
    assert [one.answer for one in third.path] == ["yes", "inside"]
    after = ask(session)
    assert (after.question, after.path, after.done) == (SHELL, (), 1)
    assert after.row != first.row
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": ["two"]}


def test_rows_of_one_id_are_asked_about_once(pictures: Pictures, labels: Labels) -> None:
    session = Session(["a", "b", "a", "c", "a"], pictures, SHELLS, labels)
    session.ask_first("Ada", [4, 1])
    answered = []
    while (asked := session.next("Ada")) is not None:
        assert len(answered) < 5
        answered.append(say(session, "no", asked=asked).id)
    assert answered[:2] == ["a", "b"]
    assert sorted(answered) == ["a", "b", "c"]
    assert IdIndex(pa.array(["a", None, "b", "a", None])).repeated == [1, 4, 3]


@pytest.mark.parametrize("grid", [False, True])
def test_galaxies_without_pictures_are_not_asked_about(
    grid: bool, tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, labels: Labels
) -> None:
    twice = pa.parquet.read_table(tiny_catalog)
    names = pa.array([f"unseen-{row}" for row in range(len(twice))])
    unseen = twice.set_column(twice.schema.get_field_index("id"), twice.schema.field("id"), names)
    pa.parquet.write_table(pa.concat_tables([unseen, twice, unseen]), tmp_path / "catalog.parquet")
    session = open_session(tmp_path / "catalog.parquet", labels, pictures=tiny_survey, question="odd")
    asked = session.grid("Ada", 40) if grid else [session.next("Ada"), session.next("Ada")]
    session.pictures.close()
    assert len(asked) == (40 if grid else 2)
    assert all(one is not None and one.id.startswith("sim-") for one in asked)


def test_an_answer_that_leads_nowhere_ends_the_galaxy(session: Session) -> None:
    row = say(session, "no").row
    assert ask(session).row != row
    assert ask(session).question == SHELL


@pytest.mark.parametrize(("said", "goes_on"), [("skip", False), ("unsure", True)])
def test_skip_ends_a_galaxy_and_unsure_continues_where_the_path_is_clear(
    session: Session, said: str, goes_on: bool
) -> None:
    row = say(session, "yes").row
    say(session, said)
    assert (ask(session).row == row) is goes_on
    assert ask(session).question == (SIDES if goes_on else SHELL)


def test_who_is_unsure_at_a_fork_goes_on_to_another_galaxy(session: Session) -> None:
    row = say(session, "unsure").row
    assert ask(session).row != row


def test_undo_goes_back_one_answer_at_a_time_and_into_the_galaxy_before(session: Session, labels: Labels) -> None:
    row = say(session, "yes").row
    say(session, "inside")
    say(session, "two")
    other = say(session, "yes").row
    for expected, question in ((other, SHELL), (row, SIDES), (row, WHERE), (row, SHELL)):
        assert undo(session) == expected
        assert (ask(session).row, ask(session).question) == (expected, question)
    assert current(labels) == {"shell": [], "where": [], "sides": []}
    assert ask(session).last is None
    assert [say(session, answer).row for answer in ("yes", "outside", "one")] == [row] * 3


def test_a_galaxy_that_was_begun_is_gone_on_with_after_a_restart(
    session: Session, pictures: Pictures, labels: Labels
) -> None:
    row = say(session, "yes").row
    again = open_again(pictures, labels)
    assert (ask(again).row, ask(again).question) == (row, WHERE)
    assert again.show("Ada", row).question == WHERE
    say(again, "inside")
    say(again, "one")
    assert ask(again).row != row


def test_another_answer_takes_back_what_was_said_below_it(session: Session, labels: Labels) -> None:
    row = say(session, "yes").row
    say(session, "inside")
    say(session, "two")
    shown = session.show("Ada", row)
    assert (shown.question, shown.before and shown.before.answer) == (SHELL, "yes")
    say(session, "no", asked=shown)
    assert current(labels) == {"shell": ["no"], "where": [], "sides": []}
    assert ask(session).row != row
    say(session, "yes", asked=session.show("Ada", row))
    assert (ask(session).row, ask(session).question) == (row, WHERE)


def test_an_undo_further_up_takes_back_what_was_said_below(session: Session, labels: Labels) -> None:
    first = say(session, "yes")
    say(session, "inside")
    for _ in range(2):  # sent again, it undoes nothing else
        assert session.undo("Ada", "an-old-page", first.event) == first.row
        assert current(labels) == {"shell": [], "where": [], "sides": []}
    assert (ask(session).row, ask(session).question) == (first.row, SHELL)


def test_an_answer_that_is_sent_again_takes_nothing_back(session: Session, labels: Labels) -> None:
    first = say(session, "yes")
    say(session, "inside")
    say(session, "yes", asked=first)
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": []}
    assert len(labels.history("shell", "where", "sides")) == 2


def test_an_answer_that_was_undone_and_arrives_late_takes_nothing_back(session: Session, labels: Labels) -> None:
    first = say(session, "yes")
    undo(session)
    say(session, "yes")
    say(session, "inside")
    say(session, "yes", asked=first)
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": []}


def test_a_question_that_is_not_asked_is_not_answered(session: Session, labels: Labels) -> None:
    row = ask(session).row
    with pytest.raises(LabelError, match="'sides' is no longer a question about this galaxy"):
        session.answer("Ada", row, "sides", "event-0001", "answer", 0, 1.0, "random")
    with pytest.raises(UnknownNameError, match="no question 'side'"):
        session.answer("Ada", row, "side", "event-0001", "answer", 0, 1.0, "random")
    assert labels.history("shell", "where", "sides") == []


def test_two_people_take_different_paths(session: Session) -> None:
    row = say(session, "yes", "Ada").row
    assert say(session, "no", "Bob").row == row  # without a catalogue everybody has the same order
    assert (ask(session, "Ada").row, ask(session, "Ada").question) == (row, WHERE)
    assert ask(session, "Bob").row != row
    say(session, "inside", "Ada")
    assert session.summary(SHELL)["agreement"].several == 1
    assert session.summary(WHERE)["agreement"].several == 0
    assert session.annotators() == ["Ada", "Bob"]


def test_what_the_grid_begins_is_gone_on_with_one_by_one(session: Session) -> None:
    some = session.grid("Ada", 4)
    rows = [one.row for one in some]
    given = {rows[0]: 1, rows[1]: 0, rows[2]: 1, rows[3]: None}
    session.answer_many("Ada", given, "a" * 32, 4.0, dict.fromkeys(rows, "random"))
    assert not {one.row for one in session.grid("Ada", 4)} & set(rows)
    left = set()
    while ask(session).path:
        left.add(say(session, "inside").row)
        say(session, "one")
    assert left == {rows[0], rows[2]}


def test_what_was_answered_on_the_grid_is_not_asked_again(pictures: Pictures, labels: Labels) -> None:
    session = Session([f"sim-{row:03d}" for row in range(100)], pictures, SHELLS, labels, learned="where")
    row = session.grid("Ada", 1)[0].row
    session.answer_many("Ada", {row: 0}, "a" * 32, 4.0, {row: "random"})
    assert say(session, "yes").row == row
    assert (ask(session).row, ask(session).question) == (row, SIDES)


def test_a_catalogue_s_loop_learns_one_question_of_a_tree(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, labels: Labels
) -> None:
    (tmp_path / "shells.toml").write_text(
        'name = "shells"\n'
        '[[question]]\nname = "shell"\nanswers = ["no", "yes"]\nthen = { yes = "where" }\n'
        '[[question]]\nname = "where"\nanswers = ["inside", "outside"]\n'
    )
    question = str(tmp_path / "shells.toml")
    session = open_session(tiny_catalog, labels, pictures=tiny_survey, question=question, learned="where", every=5)
    assert session.loop is not None
    assert session.loop.answers == ("inside", "outside")
    for number in range(60):
        say(session, ("inside", "outside")[number % 2] if ask(session).path else ("yes", "no")[number % 3 == 0])
    session.loop.wait()
    rows, _ = session._majority_answers(session.loop)
    reached = labels.current("where")
    assert {session.ids[row] for row in rows} == {one.galaxy for one in reached}
    by_chance = {one.galaxy for one in reached if one.chosen == "random"}
    assert by_chance == {session.ids[row] for row in rows if session.loop.kept[row]}
    assert len(by_chance) > 2
    assert session.loop.progress
    with pytest.raises(UnknownNameError, match="no question 'wher'"):
        open_session(tiny_catalog, labels, pictures=tiny_survey, question=question, learned="wher")
    session.pictures.close()


def walk(tree: Tree, answers: list[str]) -> str | None:
    """The question after some answers from the first on, by hand."""
    question: Question | None = tree.root
    for answer in answers:
        assert question is not None
        question = tree.after(question.name, answer)
    return None if question is None else question.name


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["Ada", "Bob"]), st.integers(0, 7)), max_size=40))
def test_any_course_of_answers_and_undos_is_where_one_is_by_hand(
    pictures: Pictures, tmp_path_factory: pytest.TempPathFactory, course: list[tuple[str, int]]
) -> None:
    tree = find_tree("gz2")
    ids = [f"sim-{row:03d}" for row in range(100)]
    stacks: dict[str, list[tuple[int, str]]] = {"Ada": [], "Bob": []}
    with Labels(tmp_path_factory.mktemp("labels") / "labels.db") as labels:
        session = Session(ids, pictures, tree, labels)
        order = [int(row) for row in np.random.default_rng(222).permutation(100)]
        for who, what in course:
            stack = stacks[who]
            if what == 7 and stack:
                undo(session, who)
                stack.pop()
            else:
                asked = ask(session, who)
                stack.append((asked.row, asked.question.answers[what % len(asked.question.answers)]))
                say(session, stack[-1][1], who, asked)
            rows = list(dict.fromkeys(row for row, _ in stack))
            assert rows == order[: len(rows)]
            at = ask(session, who)
            path = [answer for row, answer in stack if row == at.row]
            assert (at.question.name, [one.answer for one in at.path]) == (walk(tree, path), path)
        again = Session(ids, pictures, tree, labels)
        for who in stacks:
            assert (ask(again, who).row, ask(again, who).question) == (
                ask(session, who).row,
                ask(session, who).question,
            )


def test_pictures_in_files_named_after_the_ids_are_found(
    drawn_catalog: Path, tiny_survey: Path, labels: Labels, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    for row in pa.parquet.read_table(tiny_survey).slice(0, 5).to_pylist():
        (tmp_path / "files" / f"{row['id']}.png").write_bytes(row["image"]["bytes"])
    session = open_session(drawn_catalog, labels, pictures=tmp_path / "files", question="odd")
    assert [session.pictures._row(row) is not None for row in range(7)] == [True] * 5 + [False] * 2
    session.pictures.close()


@pytest.mark.parametrize("embeddings", [False, True])
def test_galaxies_of_a_table_are_asked_about_in_its_order(
    drawn_catalog: Path, tiny_survey: Path, labels: Labels, tmp_path: Path, embeddings: bool
) -> None:
    data, pictures = (drawn_catalog, tiny_survey) if embeddings else (tiny_survey, None)
    wanted = ["sim-071", "sim-003", "sim-071", "sim-042"]
    opened = open_session(data, labels, pictures=pictures, question="odd", only=wanted, in_order=True)
    asked = [[say(opened, "odd", who).id for _ in range(3)] for who in ("Ada", "Bob")]
    assert asked == [["sim-071", "sim-003", "sim-042"]] * 2  # what somebody answered is asked of others, too
    assert opened.next("Ada") is None
    assert opened.grid("Eve", 24)[0].id == "sim-071"
    assert {one.chosen for one in labels.current("odd")} == {REQUESTED}
    opened.pictures.close()
    with pytest.raises(UsageError, match=r"name it \(--only TABLE\)"):
        open_session(data, labels, pictures=pictures, question="odd", in_order=True)
