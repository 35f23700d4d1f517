"""Questions, their answers, trees of them, and finding the question that labels answer."""

from pathlib import Path

import pytest

from peculiar.errors import LabelError, NotFoundError, UnknownNameError
from peculiar.questions.question import (
    CLEAN5,
    FOUR_CLASS,
    GALAXY10_DECALS,
    GALAXY10_SDSS,
    ODD,
    QUESTIONS,
    Question,
    Tree,
    question_for,
)
from peculiar.questions.question_file import TREES, find_tree, question_file

PATH = Path("galaxies.csv")


def test_the_exercise_s_classes_are_in_the_order_of_its_labels() -> None:
    assert FOUR_CLASS.answers == ("Normal", "Ringed", "Merger", "Other")


@pytest.mark.parametrize("question", [GALAXY10_DECALS, GALAXY10_SDSS], ids=lambda question: question.name)
def test_galaxy10_has_ten_classes(question: Question) -> None:
    assert len(question.answers) == 10


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_are_consistent(question: Question) -> None:
    assert QUESTIONS[question.name] is question
    assert len(set(question.answers)) == len(question.answers)
    assert len(question.meanings) in (0, len(question.answers))


def test_labels_that_are_answers_or_unknown_pass_the_check() -> None:
    assert FOUR_CLASS.check(["Normal", None, "Merger"], PATH) is None


def test_strange_labels_are_counted_and_the_most_frequent_named() -> None:
    with pytest.raises(LabelError) as caught:
        FOUR_CLASS.check(["Merger", "merger", "merger", "spiral", None], PATH)
    assert str(caught.value) == (
        "galaxies.csv: 3 galaxies have labels that are not answers to 'four_class'; the most frequent is 'merger', 2 "
        "times (did you mean 'Merger'?). The answers are: Normal, Ringed, Merger, Other"
    )


def test_a_strange_label_without_a_close_answer_gets_no_hint() -> None:
    with pytest.raises(LabelError, match=r"'xyz', 1 time\. The answers"):
        FOUR_CLASS.check(["xyz"], PATH)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_question_of_a_column_is_found_by_its_name(question: Question) -> None:
    assert question_for(question.name, question.answers[:2]) is question


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_question_of_a_column_is_found_by_its_labels(question: Question) -> None:
    assert question_for("label", question.answers) is question


def test_labels_decide_where_the_name_is_that_of_another_question() -> None:
    assert question_for("four_class", ["round", "spiral"]) is CLEAN5


def test_a_name_decides_between_questions_that_share_answers() -> None:
    shared = ["in_between_round_smooth", "cigar_shaped_smooth"]
    assert question_for("galaxy10_decals", shared) is not question_for("galaxy10_sdss", shared)
    assert question_for("galaxy10_sdss", [*shared[:1]]) is GALAXY10_SDSS


def test_other_labels_make_a_question_of_their_own_in_alphabetical_order() -> None:
    assert question_for("gz2_argmax", ["smooth", "odd", "smooth", "features"]) == Question(
        "gz2_argmax", ("features", "odd", "smooth")
    )


def test_no_labels_make_a_question_without_answers() -> None:
    assert question_for("four_class", []) == Question("four_class", ())


def test_a_question_s_column_is_called_as_the_question_unless_told() -> None:
    assert FOUR_CLASS.column == "four_class"
    assert (ODD.column, ODD.answers[1]) == ("gz2_argmax", "odd")
    assert not set(ODD.silent) & set(ODD.answers)
    assert all(0 < value < 1 for _, value in FOUR_CLASS.trust)


SHELL = Question("shell", ("no", "yes"))
WHERE = Question("where", ("inside", "outside"))
SIDES = Question("sides", ("one", "two"))


def test_a_question_has_words_of_its_own_or_those_of_its_name() -> None:
    assert Question("spiral_arms", ("no", "yes")).asks == "spiral arms?"
    assert Question("t04", ("no", "yes"), asks="Are there arms?").asks == "Are there arms?"


def test_an_answer_leads_to_the_next_question() -> None:
    tree = Tree("shells", (SHELL, WHERE, SIDES), {("shell", "yes"): "where", ("where", "outside"): "sides"})
    assert tree.root == SHELL
    assert tree.after("shell", "yes") == WHERE
    assert tree.after("shell", "no") is None
    assert tree.after("where", "outside") == SIDES
    assert tree.after("sides", "two") is None
    with pytest.raises(UnknownNameError, match="no question 'shel'"):
        tree["shel"]


def test_who_is_unsure_is_led_on_where_every_answer_leads_to_one_question() -> None:
    leads = {("shell", "no"): "where", ("shell", "yes"): "where", ("where", "outside"): "sides"}
    tree = Tree("shells", (SHELL, WHERE, SIDES), leads)
    assert tree.after("shell", "") == WHERE
    assert tree.after("where", "") is None


@pytest.mark.parametrize(
    ("questions", "leads", "match"),
    [
        ((), {}, "no question"),
        ((SHELL, SHELL), {}, "two questions are called 'shell'"),
        ((SHELL,), {("shell", "perhaps"): "shell"}, "'shell' has no answer 'perhaps'"),
        ((SHELL,), {("shell", "yes"): "where"}, "'yes' to 'shell' leads to 'where', and there is no such question"),
        ((SHELL, WHERE), {}, "no answer leads to 'where'"),
        ((SHELL,), {("shell", "yes"): "shell"}, "form a circle: shell > shell"),
        (
            (SHELL, WHERE, SIDES),
            {("shell", "yes"): "where", ("where", "inside"): "sides", ("sides", "two"): "where"},
            "form a circle: (where > sides > where|sides > where > sides)",
        ),
    ],
)
def test_questions_that_make_no_tree_are_refused(
    questions: tuple[Question, ...], leads: dict[tuple[str, str], str], match: str
) -> None:
    with pytest.raises(LabelError, match=match):
        Tree("shells", questions, leads)


@pytest.mark.parametrize("name", [*QUESTIONS, "odd"])
def test_a_single_question_is_a_tree_of_one(name: str) -> None:
    tree = find_tree(name)
    assert (tree.name, tree.questions, tree.leads) == (name, (tree.root,), {})


def paths(tree: Tree, question: Question | None, so_far: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every path through a tree, as names of the questions."""
    if question is None:
        return [so_far]
    following = {tree.after(question.name, answer) for answer in question.answers}
    return [path for one in following for path in paths(tree, one, (*so_far, question.name))]


def test_galaxy_zoo_2_s_tree_is_that_of_its_paper() -> None:
    tree = find_tree("gz2")
    assert (len(tree.questions), sum(len(question.answers) for question in tree.questions)) == (11, 37)
    tasks = {tuple(int(name[1:3]) for name in path) for path in paths(tree, tree.root)}
    spiral = (1, 2, 3, 4, 10, 11, 5, 6)
    smooth, edge_on, no_spiral = (1, 7, 6), (1, 2, 9, 6), (1, 2, 3, 4, 5, 6)
    asked = (smooth, edge_on, no_spiral, spiral)
    assert tasks == {(1,), *asked, *((*path, 8) for path in asked)}


def test_galaxy_zoo_decals_ends_with_mergers() -> None:
    tree = find_tree("gz_decals")
    assert (len(tree.questions), sum(len(question.answers) for question in tree.questions)) == (10, 34)
    found = paths(tree, tree.root)
    assert ("smooth-or-featured",) in found
    assert {path[-1] for path in found if len(path) > 1} == {"merging"}
    assert max(map(len, found)) == 8


@pytest.mark.parametrize("name", TREES)
def test_sentences_of_trees_are_questions(name: str) -> None:
    assert all(question.asks.endswith("?") for question in find_tree(name).questions)


@pytest.mark.parametrize(
    ("name", "questions", "answers", "ends"),
    [
        ("gz_desi", 10, 34, {"merging"}),
        ("gz_hubble", 13, 40, {"how-rounded", "clumps-embedded-larger-object", "bulge-shape", "bulge-size"}),
        ("gz_candels", 12, 38, {"merging"}),
        ("gz_cosmic_dawn", 13, 45, {"merging", "problem", "artifact"}),
        ("gz_jwst", 13, 45, {"merging", "problem", "artifact"}),
        ("gz_euclid", 13, 46, {"merging", "problem", "artifact"}),
    ],
)
def test_trees_of_galaxy_zoo_s_campaigns(name: str, questions: int, answers: int, ends: set[str]) -> None:
    tree = find_tree(name)
    assert (tree.name, len(tree.questions)) == (name, questions)
    assert sum(len(question.answers) for question in tree.questions) == answers
    assert {path[-1] for path in paths(tree, tree.root) if len(path) > 1} == ends
    after = {one.name: set(one.after) for one in tree.questions}
    assert after == {one.name: {way for way, to in tree.leads.items() if to == one.name} for one in tree.questions}


SEVERAL_TREE = """
name = "odd"

[[question]]
name = "odd"
answers = ["no", "yes"]
then = { yes = "features" }

[[question]]
name = "features"
asks = "Do you see any of these?"
answers = ["ring", "lens"]
meanings = ["a ring", "a gravitational lens"]
several = true
total = "features_total"
then = "sure"

[[question]]
name = "sure"
answers = ["no", "yes"]
"""


def test_several_answers_at_once_become_questions(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(SEVERAL_TREE)
    tree = find_tree(str(path))
    assert [one.name for one in tree.questions] == ["odd", "features_ring", "features_lens", "sure"]
    ring = tree["features_ring"]
    assert (ring.answers, ring.meanings, ring.total) == (("no", "yes"), ("", "a ring"), "features_total")
    assert ring.asks == "Do you see any of these? ring?"
    assert ring.after == (("odd", "yes"),)
    for answer in ("no", "yes"):
        assert tree.after("features_ring", answer) == tree["features_lens"]
        assert tree.after("features_lens", answer) == tree["sure"]
    alone = tmp_path / "alone.toml"
    alone.write_text('name = "rare"\nanswers = ["ring", "lens"]\nseveral = true\n')
    assert [one.name for one in find_tree(str(alone)).questions] == ["rare_ring", "rare_lens"]
    assert find_tree(str(alone)).root.total == "rare_total-votes"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("several = true", "several = 1", "'several' has to be true or false"),
        ("several = true\n", "", "'total' is the column with the number of people asked, for several answers"),
        ('total = "features_total"', "total = 3", "'total' is the column"),
        ('then = "sure"', 'then = { ring = "sure" }', "with several answers at once, 'then' has to be the name"),
        ('then = "sure"', "then = {}", "no answer leads to 'sure'"),
    ],
)
def test_bad_questions_with_several_answers_say_what_is_wrong(tmp_path: Path, old: str, new: str, match: str) -> None:
    path = tmp_path / "odd.toml"
    assert old in SEVERAL_TREE
    path.write_text(SEVERAL_TREE.replace(old, new))
    with pytest.raises(LabelError, match=match):
        find_tree(str(path))


TREE = """
name = "shells"

[[question]]
name = "shell"
asks = "Is there a shell?"
answers = ["no", "yes"]
meanings = ["smooth", "arcs"]
then = { yes = "where" }

[[question]]
name = "where"
answers = ["inside", "outside"]
then = "sides"

[[question]]
name = "sides"
answers = ["one", "two"]
"""


def test_a_tree_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "shells.toml"
    path.write_text(TREE)
    tree = find_tree(str(path))
    assert tree.name == "shells"
    assert tree.root == Question("shell", ("no", "yes"), ("smooth", "arcs"), asks="Is there a shell?")
    assert tree.after("shell", "no") is None
    assert tree.after("where", "inside") == tree.after("where", "") == tree["sides"]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('name = "shells"\n', "", "'name' has to be text"),
        ('name = "shells"\n', 'name = "shells"\nanswers = ["a", "b"]\n', "'answers' is not known"),
        ('{ yes = "where" }', '{ yes = "wher" }', "'yes' to 'shell' leads to 'wher', and there is no such question"),
        ('{ yes = "where" }', '{ maybe = "where" }', "'shell' has no answer 'maybe'"),
        ('{ yes = "where" }', "3", "question 1 .shell.: 'then' has to be the name of the next question"),
        ('{ yes = "where" }', "{ yes = 3 }", "'then' has to be the name of the next question"),
        ('then = { yes = "where" }', "", "no answer leads to 'where'; no answer leads to 'sides'"),
        ('"sides"\n\n', '"shell"\n\n', "form a circle"),
        ('name = "where"', 'name = "shell"', "two questions are called 'shell'"),
        ('["inside", "outside"]', str([str(one) for one in range(11)]), "question 2 .where.: 2 to 10 different"),
        ('["one", "two"]', '["one"]', "question 3 .sides.: 2 to 10 different"),
        ('asks = "Is there a shell?"', 'asks = ["Is there?"]', "'asks' has to be text"),
        ('asks = "Is there a shell?"', 'asks = "Is\\nthere?"', "'asks' has to be text of at most 200 printable"),
    ],
)
def test_a_bad_tree_says_what_is_wrong(tmp_path: Path, old: str, new: str, match: str) -> None:
    path = tmp_path / "shells.toml"
    assert old in TREE
    path.write_text(TREE.replace(old, new, 1))
    with pytest.raises(LabelError, match=match) as caught:
        find_tree(str(path))
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["question = 3", 'name = "x"\nquestion = ["a"]', 'name = "x"\nquestion = []'])
def test_questions_are_tables(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(LabelError, match=r"\[\[question\]\]|there is no question"):
        find_tree(str(path))


def test_a_question_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "shell.toml"
    path.write_text('name = "shell"\nanswers = ["no shell", "shell"]\nmeanings = ["none", "faint arcs"]\n')
    assert find_tree(str(path)) == Tree("shell", (Question("shell", ("no shell", "shell"), ("none", "faint arcs")),))
    assert find_tree("odd").root.answers == ("not_odd", "odd")
    with pytest.raises(UnknownNameError, match="four_class"):
        find_tree("four_clas")
    with pytest.raises(NotFoundError, match="no question at"):
        find_tree(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name = ", "as TOML"),
        ('answers = ["a", "b"]', "'name' has to be"),
        ('name = "../x"\nanswers = ["a", "b"]', "'name' has to be"),
        ('name = "x"\nanswers = ["a"]', "2 to 10 different"),
        ('name = "x"\nanswers = ["a", "a"]', "2 to 10 different"),
        ('name = "x"\nanswers = [1, 2]', "list of texts"),
        ('name = "x"\nanswers = ["a\\n", "b"]', "printable"),
        ('name = "x"\nanswers = ["a", "b"]\nmeanings = ["c"]', "2 answers and 1 meanings"),
        ('name = "x"\nanswers = ["a", "b"]\nvotes = ["n_a", "n_a"]', "2 answers and 1 different columns of votes"),
        ('name = "x"\nanswers = ["a", "b"]\nvotes = 3', "'votes' has to be a list of texts"),
        ('name = "x"\nanswers = ["a", "b"]\nrun = "rm"', "'run' is not known"),
        ('name = "x"\nlike = "q.toml"', r"q\.toml: no question or tree of the package is called 'q\.toml'"),
        ('name = "x"\nlike = "gz3"', r"q\.toml: no question or tree of the package is called 'gz3'"),
    ],
)
def test_a_bad_question_says_what_is_wrong(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "q.toml"
    path.write_text(text)
    with pytest.raises(LabelError, match=match):
        find_tree(str(path))


@pytest.mark.parametrize("answers", [("no", "yes"), ('a "b"', "c\\d", "é ∞", "🌀")])
def test_a_question_is_the_same_after_it_was_a_file(tmp_path: Path, answers: tuple[str, ...]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(question_file(Question("my kind", answers)), encoding="utf-8")
    assert find_tree(str(path)).root == Question("my kind", answers)


def test_a_question_with_one_answer_is_no_file() -> None:
    with pytest.raises(LabelError, match="2 to 10 different answers are needed, received 1"):
        question_file(Question("kind", ("yes",)))
