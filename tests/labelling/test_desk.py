"""What the desk asks next: trees of questions, undo within them, several people, what a restart finds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peculiar.errors import LabelError, UnknownNameError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.desk import Asked, Desk
from peculiar.labelling.web.ids import Ids
from peculiar.labelling.web.pictures import Pictures
from peculiar.labelling.web.serve import open_desk
from peculiar.questions.question import Question, Tree, find_tree
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
def desk(pictures: Pictures, labels: Labels) -> Desk:
    return open_again(pictures, labels)


def open_again(pictures: Pictures, labels: Labels) -> Desk:
    return Desk([f"sim-{row:03d}" for row in range(100)], pictures, SHELLS, labels)


def say(desk: Desk, answer: str, who: str = "Ada", asked: Asked | None = None) -> Asked:
    """Answer what is asked, or "unsure" or "skip"; return it."""
    asked = asked or desk.next(who)
    assert asked is not None
    number = asked.question.answers.index(answer) if answer in asked.question.answers else None
    kind = answer if number is None else "answer"
    desk.answer(who, asked.row, asked.question.name, asked.event, kind, number, 1.0, asked.chosen)
    return asked


def ask(desk: Desk, who: str = "Ada") -> Asked:
    asked = desk.next(who)
    assert asked is not None
    return asked


def undo(desk: Desk, who: str = "Ada") -> int | None:
    last = ask(desk, who).last
    assert last is not None
    return desk.undo(who, f"{last.event[:40]}-undo", last.event)


def current(labels: Labels) -> dict[str, list[str]]:
    """The answers that count, by question."""
    return {name: [one.answer or one.kind for one in labels.current(name)] for name in labels.questions()}


def test_an_answer_leads_to_the_next_question_of_the_same_galaxy(desk: Desk, labels: Labels) -> None:
    first = say(desk, "yes")
    second = say(desk, "inside")
    third = say(desk, "two")
    assert [one.question for one in (first, second, third)] == [SHELL, WHERE, SIDES]
    assert first.row == second.row == third.row
    assert [one.answer for one in third.path] == ["yes", "inside"]
    after = ask(desk)
    assert (after.question, after.path, after.done) == (SHELL, (), 1)
    assert after.row != first.row
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": ["two"]}


def test_rows_of_one_id_are_asked_about_once(pictures: Pictures, labels: Labels) -> None:
    desk = Desk(["a", "b", "a", "c", "a"], pictures, SHELLS, labels)
    desk.ask_first("Ada", [4, 1])
    answered = []
    while (asked := desk.next("Ada")) is not None:
        assert len(answered) < 5
        answered.append(say(desk, "no", asked=asked).id)
    assert answered[:2] == ["a", "b"]
    assert sorted(answered) == ["a", "b", "c"]
    assert Ids(pa.array(["a", None, "b", "a", None])).repeated == [1, 4, 3]


@pytest.mark.parametrize("grid", [False, True])
def test_galaxies_without_pictures_are_not_asked_about(
    grid: bool, tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, labels: Labels
) -> None:
    twice = pa.parquet.read_table(tiny_catalog)
    names = pa.array([f"unseen-{row}" for row in range(len(twice))])
    unseen = twice.set_column(twice.schema.get_field_index("id"), twice.schema.field("id"), names)
    pa.parquet.write_table(pa.concat_tables([unseen, twice, unseen]), tmp_path / "catalog.parquet")
    desk = open_desk(tmp_path / "catalog.parquet", labels, pictures=tiny_survey, question="odd")
    asked = desk.some("Ada", 40) if grid else [desk.next("Ada"), desk.next("Ada")]
    desk.pictures.close()
    assert len(asked) == (40 if grid else 2)
    assert all(one is not None and one.id.startswith("sim-") for one in asked)


def test_an_answer_that_leads_nowhere_ends_the_galaxy(desk: Desk) -> None:
    row = say(desk, "no").row
    assert ask(desk).row != row
    assert ask(desk).question == SHELL


@pytest.mark.parametrize(("said", "goes_on"), [("skip", False), ("unsure", True)])
def test_skip_ends_a_galaxy_and_unsure_goes_on_where_the_way_is_clear(desk: Desk, said: str, goes_on: bool) -> None:
    row = say(desk, "yes").row
    say(desk, said)
    assert (ask(desk).row == row) is goes_on
    assert ask(desk).question == (SIDES if goes_on else SHELL)


def test_who_is_unsure_at_a_fork_goes_on_to_another_galaxy(desk: Desk) -> None:
    row = say(desk, "unsure").row
    assert ask(desk).row != row


def test_undo_goes_back_one_answer_at_a_time_and_into_the_galaxy_before(desk: Desk, labels: Labels) -> None:
    row = say(desk, "yes").row
    say(desk, "inside")
    say(desk, "two")
    other = say(desk, "yes").row
    for expected, question in ((other, SHELL), (row, SIDES), (row, WHERE), (row, SHELL)):
        assert undo(desk) == expected
        assert (ask(desk).row, ask(desk).question) == (expected, question)
    assert current(labels) == {"shell": [], "where": [], "sides": []}
    assert ask(desk).last is None
    assert [say(desk, answer).row for answer in ("yes", "outside", "one")] == [row] * 3


def test_a_galaxy_that_was_begun_is_gone_on_with_after_a_restart(
    desk: Desk, pictures: Pictures, labels: Labels
) -> None:
    row = say(desk, "yes").row
    again = open_again(pictures, labels)
    assert (ask(again).row, ask(again).question) == (row, WHERE)
    assert again.show("Ada", row).question == WHERE
    say(again, "inside")
    say(again, "one")
    assert ask(again).row != row


def test_another_answer_takes_back_what_was_said_below_it(desk: Desk, labels: Labels) -> None:
    row = say(desk, "yes").row
    say(desk, "inside")
    say(desk, "two")
    shown = desk.show("Ada", row)
    assert (shown.question, shown.before and shown.before.answer) == (SHELL, "yes")
    say(desk, "no", asked=shown)
    assert current(labels) == {"shell": ["no"], "where": [], "sides": []}
    assert ask(desk).row != row
    say(desk, "yes", asked=desk.show("Ada", row))
    assert (ask(desk).row, ask(desk).question) == (row, WHERE)


def test_an_undo_further_up_takes_back_what_was_said_below(desk: Desk, labels: Labels) -> None:
    first = say(desk, "yes")
    say(desk, "inside")
    for _ in range(2):  # sent again, it undoes nothing else
        assert desk.undo("Ada", "an-old-page", first.event) == first.row
        assert current(labels) == {"shell": [], "where": [], "sides": []}
    assert (ask(desk).row, ask(desk).question) == (first.row, SHELL)


def test_an_answer_that_is_sent_again_takes_nothing_back(desk: Desk, labels: Labels) -> None:
    first = say(desk, "yes")
    say(desk, "inside")
    say(desk, "yes", asked=first)
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": []}
    assert len(labels.history("shell", "where", "sides")) == 2


def test_an_answer_that_was_undone_and_arrives_late_takes_nothing_back(desk: Desk, labels: Labels) -> None:
    first = say(desk, "yes")
    undo(desk)
    say(desk, "yes")
    say(desk, "inside")
    say(desk, "yes", asked=first)
    assert current(labels) == {"shell": ["yes"], "where": ["inside"], "sides": []}


def test_a_question_that_is_not_asked_is_not_answered(desk: Desk, labels: Labels) -> None:
    row = ask(desk).row
    with pytest.raises(LabelError, match="'sides' is not asked of this galaxy any more"):
        desk.answer("Ada", row, "sides", "event-0001", "answer", 0, 1.0, "random")
    with pytest.raises(UnknownNameError, match="no question 'side'"):
        desk.answer("Ada", row, "side", "event-0001", "answer", 0, 1.0, "random")
    assert labels.history("shell", "where", "sides") == []


def test_two_people_take_different_paths(desk: Desk) -> None:
    row = say(desk, "yes", "Ada").row
    assert say(desk, "no", "Bob").row == row  # without a catalogue everybody has the same order
    assert (ask(desk, "Ada").row, ask(desk, "Ada").question) == (row, WHERE)
    assert ask(desk, "Bob").row != row
    say(desk, "inside", "Ada")
    assert desk.summary(SHELL)["several"] == 1
    assert desk.summary(WHERE)["several"] == 0
    assert desk.people() == ["Ada", "Bob"]


def test_what_the_grid_begins_is_gone_on_with_one_by_one(desk: Desk) -> None:
    some = desk.some("Ada", 4)
    rows = [one.row for one in some]
    given = {rows[0]: 1, rows[1]: 0, rows[2]: 1, rows[3]: None}
    desk.answer_many("Ada", given, "a" * 32, 4.0, dict.fromkeys(rows, "random"))
    assert not {one.row for one in desk.some("Ada", 4)} & set(rows)
    left = set()
    while ask(desk).path:
        left.add(say(desk, "inside").row)
        say(desk, "one")
    assert left == {rows[0], rows[2]}


def test_what_was_answered_on_the_grid_is_not_asked_again(pictures: Pictures, labels: Labels) -> None:
    desk = Desk([f"sim-{row:03d}" for row in range(100)], pictures, SHELLS, labels, learned="where")
    row = desk.some("Ada", 1)[0].row
    desk.answer_many("Ada", {row: 0}, "a" * 32, 4.0, {row: "random"})
    assert say(desk, "yes").row == row
    assert (ask(desk).row, ask(desk).question) == (row, SIDES)


def test_a_catalogue_s_loop_learns_one_question_of_a_tree(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, labels: Labels
) -> None:
    (tmp_path / "shells.toml").write_text(
        'name = "shells"\n'
        '[[question]]\nname = "shell"\nanswers = ["no", "yes"]\nthen = { yes = "where" }\n'
        '[[question]]\nname = "where"\nanswers = ["inside", "outside"]\n'
    )
    question = str(tmp_path / "shells.toml")
    desk = open_desk(tiny_catalog, labels, pictures=tiny_survey, question=question, learned="where", every=5)
    assert desk.loop is not None
    assert desk.loop.answers == ("inside", "outside")
    for number in range(60):
        say(desk, ("inside", "outside")[number % 2] if ask(desk).path else ("yes", "no")[number % 3 == 0])
    desk.loop.wait()
    rows, _ = desk._given()
    reached = labels.current("where")
    assert {desk.ids[row] for row in rows} == {one.galaxy for one in reached}
    by_chance = {one.galaxy for one in reached if one.chosen == "random"}
    assert by_chance == {desk.ids[row] for row in rows if desk.loop.kept[row]}
    assert len(by_chance) > 2
    assert desk.loop.progress
    with pytest.raises(UnknownNameError, match="no question 'wher'"):
        open_desk(tiny_catalog, labels, pictures=tiny_survey, question=question, learned="wher")
    desk.pictures.close()


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
        desk = Desk(ids, pictures, tree, labels)
        order = [int(row) for row in np.random.default_rng(222).permutation(100)]
        for who, what in course:
            stack = stacks[who]
            if what == 7 and stack:
                undo(desk, who)
                stack.pop()
            else:
                asked = ask(desk, who)
                stack.append((asked.row, asked.question.answers[what % len(asked.question.answers)]))
                say(desk, stack[-1][1], who, asked)
            rows = list(dict.fromkeys(row for row, _ in stack))
            assert rows == order[: len(rows)]
            at = ask(desk, who)
            path = [answer for row, answer in stack if row == at.row]
            assert (at.question.name, [one.answer for one in at.path]) == (walk(tree, path), path)
        again = Desk(ids, pictures, tree, labels)
        for who in stacks:
            assert (ask(again, who).row, ask(again, who).question) == (ask(desk, who).row, ask(desk, who).question)
