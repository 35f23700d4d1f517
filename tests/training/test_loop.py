"""The training loop: honest parts, rare answers drawn more often, a killed run that goes on as if nothing happened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from peculiar.catalogs.predict import predict
from peculiar.catalogs.vote_columns import vote_columns
from peculiar.errors import LabelError, ModelError, PeculiarWarning, RunError, UnknownNameError, UsageError
from peculiar.exercise.run_folder import load_run
from peculiar.files import run_files
from peculiar.images.framing import Framing
from peculiar.models.model_file import load_model
from peculiar.models.seen import SEEN, Seen
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, Question
from peculiar.sources import Source, open_source
from peculiar.sources.answers import read_answered
from peculiar.sources.labels import own_question, told_questions
from peculiar.sources.split import part_of
from peculiar.training import build, loop, recipe
from peculiar.training.balance import class_weights, draws
from peculiar.training.export import export
from peculiar.training.loop import train_network
from peculiar.training.optimizer import set_rate
from peculiar.training.parts import split_galaxies
from peculiar.training.recipe import Recipe, RunRecord, read_record
from peculiar.training.restore import restore
from peculiar.training.watch import EpochLines, Watcher
from peculiar.training.weights import read_weights

TINY = Recipe(width=8, size=32, epochs=2, batch_size=16, pretrained=False)


def test_the_run_s_folder_is_complete(tiny_run: Path) -> None:
    record = recipe.read_record(tiny_run)
    assert [question.name for question in record.questions] == ["four_class", "clean5", "odd"]
    assert sum(record.counts.values()) == 100
    assert [line["epoch"] for line in run_files.read_history(tiny_run)] == [1, 2]
    assert set(recipe.read_notes(tiny_run)["temperatures"]) == {"four_class", "clean5", "odd"}
    parts = run_files.read_split(tiny_run)
    assert len(parts) == 100
    assert set(parts.values()) == {"training", "validation", "test"}


def test_parts_follow_from_the_ids(tiny_run: Path) -> None:
    parts = run_files.read_split(tiny_run)
    assert all(part == part_of(id_, validation_size=0.1, test_size=0.15) for id_, part in parts.items())


def test_a_stopped_run_goes_on_to_the_same_weights(tiny_survey: Path, tiny_run: Path) -> None:
    class Stop(Watcher):
        def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
            if (epoch, done) == (2, 2):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network([tiny_survey], "run", TINY, watcher=Stop())
    assert len(run_files.read_history(Path("run"))) == 1
    train_network([tiny_survey], "run", TINY, resume=True)
    one, other = (read_weights(folder / recipe.AVERAGED)[0] for folder in (tiny_run, Path("run")))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=1e-6)


def test_a_finished_run_is_only_concluded(tiny_survey: Path, tiny_run: Path) -> None:
    before = run_files.read_history(tiny_run)
    (tiny_run / recipe.NOTES).unlink()
    assert train_network([tiny_survey], tiny_run, TINY, resume=True) == before
    assert recipe.read_notes(tiny_run)["scores"]["clean5"]["galaxies"] > 0


def test_a_resumed_run_keeps_its_split_without_comparing_again(
    tiny_survey: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    monkeypatch.setattr(loop, "split_galaxies", lambda *_, **__: pytest.fail("compared again"))
    train_network([tiny_survey], run, TINY, resume=True)
    rows = (run / run_files.SPLIT).read_text().splitlines()
    swapped = [row.replace("training", "validation") if number == 1 else row for number, row in enumerate(rows)]
    (run / run_files.SPLIT).write_text("\n".join(swapped) + "\n")
    with pytest.raises(RunError, match="split_digest"):
        train_network([tiny_survey], run, TINY, resume=True)


def test_another_recipe_is_not_resumed(tiny_survey: Path, tiny_run: Path) -> None:
    with pytest.raises(RunError, match=r"learning_rate was 0\.0005, is 0\.1"):
        train_network([tiny_survey], tiny_run, TINY.model_copy(update={"learning_rate": 0.1}), resume=True)


def test_a_folder_in_use_is_refused(tiny_survey: Path, tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="is not empty; give the run another folder"):
        train_network([tiny_survey], tiny_run, TINY)


def test_too_few_galaxies_for_a_batch(tiny_survey: Path) -> None:
    with pytest.raises(UsageError, match="fewer than a batch of 4096"):
        train_network([tiny_survey], "run", TINY.model_copy(update={"batch_size": 4096}))


def test_a_diverging_run_says_what_to_do(tiny_survey: Path) -> None:
    with pytest.raises(RunError, match="--learning-rate"):
        train_network([tiny_survey], "run", TINY.model_copy(update={"learning_rate": 1e12}))


def test_watchers_are_told(tiny_survey: Path) -> None:
    told: list[Any] = []

    class Listen(Watcher):
        def reading(self, done: int, total: int) -> None:
            told.append(("reading", done, total))

        def begin(self, record: RunRecord, parameters: int) -> None:
            told.append(("begin", parameters > 1000))

        def epoch(self, line: dict[str, Any]) -> None:
            told.append(("epoch", line["epoch"]))

    train_network([tiny_survey], "run", TINY.model_copy(update={"epochs": 1}), watcher=Listen())
    assert told == [("reading", 100, 100), ("begin", True), ("epoch", 1)]


def test_rare_answers_are_drawn_more_often(tiny_survey: Path) -> None:
    data = read_answered([open_source(tiny_survey)], (FOUR_CLASS, CLEAN5, ODD), Framing(8))
    rows = np.arange(100)
    data.labels["clean5"][:] = 0
    data.labels["clean5"][:4] = 1
    drawn = np.bincount(draws(data, rows), minlength=100)
    assert (drawn[:4] == 3).all()
    assert drawn[40:].max() <= 3
    assert drawn.min() >= 1


def test_unsure_labels_are_not_drawn_more_often(tiny_survey: Path) -> None:
    data = read_answered([open_source(tiny_survey)], (CLEAN5,), Framing(8))
    data.labels["clean5"][:] = 0
    data.labels["clean5"][:4] = 1
    data.trust["clean5"][:2] = 0.5
    drawn = np.bincount(draws(data, np.arange(len(data))))
    assert drawn[:4].tolist() == [1, 1, 3, 3]


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(np.repeat([0, 1, -1], [80, 10, 5]), 3)
    np.testing.assert_allclose(weights, [1, 8**0.5, 1])


def test_the_rate_rises_and_falls() -> None:
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "speed": 4.0}], lr=1.0)
    rates = []
    for progress in range(101):
        set_rate(optimizer, TINY, progress / 100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == 0
    assert rates[10] == 4 * TINY.learning_rate
    assert rates[100] == pytest.approx(0)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_wrong_values_are_reported_together() -> None:
    with pytest.raises(UsageError, match=r"epochs: .* received 0; batch_size: .* received 1"):
        recipe.make_recipe(epochs=0, batch_size=1)


@pytest.mark.parametrize("content", [None, "{", '{"recipe": 3}'])
def test_a_folder_that_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / run_files.RECORD).write_text(content)
    with pytest.raises(RunError, match="not the folder of a training run"):
        recipe.read_record(tmp_path)


def test_an_unfinished_or_damaged_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not finished"):
        recipe.read_notes(tmp_path)
    (tmp_path / recipe.NOTES).write_text("{")
    with pytest.raises(RunError, match="damaged"):
        recipe.read_notes(tmp_path)


def test_weights_of_another_network(tiny_run: Path, tmp_path: Path) -> None:
    record = recipe.read_record(tiny_run)
    other = record.model_copy(update={"recipe": record.recipe.model_copy(update={"width": 16})})
    with pytest.raises(RunError, match=r"the weights do not match the network in run\.json"):
        build.load_net(tiny_run, other)


def test_a_galaxy_run_is_no_run_of_the_exercise(tiny_run: Path) -> None:
    with pytest.raises(RunError, match="holds a run of the galaxy network; `peculiar export"):
        load_run(tiny_run)


def test_the_record_is_plain_json(tiny_run: Path) -> None:
    stored = json.loads((tiny_run / run_files.RECORD).read_text())
    assert stored["recipe"]["width"] == 8
    assert stored["data"] == ["survey.parquet"]


@pytest.mark.slow
def test_a_teacher_is_asked_about_the_training_part_alone(
    tiny_survey: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons: list[dict[str, Any]] = []
    original = loop.ask_teachers

    def kept(*arguments: Any) -> dict[str, Any]:
        lessons.append(original(*arguments))
        return lessons[-1]

    monkeypatch.setattr(loop, "ask_teachers", kept)
    asked: list[tuple[int, int]] = []

    class Listen(Watcher):
        def asking(self, done: int, total: int) -> None:
            asked.append((done, total))

    teacher = load_model(tiny_model)
    train_network([tiny_survey], "run", TINY, teachers=[teacher], watcher=Listen())
    record = recipe.read_record(Path("run"))
    assert record.teachers == (teacher.card.digest,)
    assert asked[-1] == (record.counts["training"],) * 2
    known = lessons[0]["clean5"].sum(axis=1)
    assert np.isclose(known, 1, atol=1e-5).sum() == record.counts["training"]
    assert (known == 0).sum() == record.counts["validation"] + record.counts["test"]
    train_network([tiny_survey], "run", TINY, teachers=[teacher], resume=True)
    assert len(lessons) == 1  # it is not asked again
    train_network([tiny_survey], "other", TINY.model_copy(update={"epochs": 1}), teachers=[teacher, teacher])
    np.testing.assert_allclose(lessons[1]["clean5"], lessons[0]["clean5"], atol=1e-6)


@pytest.mark.slow
def test_a_run_stopped_in_its_first_epoch_does_not_ask_its_teachers_again(tiny_survey: Path, tiny_model: Path) -> None:
    asked: list[int] = []

    class Stop(Watcher):
        def asking(self, done: int, total: int) -> None:
            asked.append(done)

        def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
            raise KeyboardInterrupt

    teacher = load_model(tiny_model)
    with pytest.raises(KeyboardInterrupt):
        train_network([tiny_survey], "run", TINY, teachers=[teacher], watcher=Stop())
    before = len(asked)
    assert before > 0
    with pytest.raises(KeyboardInterrupt):
        train_network([tiny_survey], "run", TINY, teachers=[teacher], watcher=Stop(), resume=True)
    assert len(asked) == before
    # Other teachers have not been asked.
    with pytest.raises(KeyboardInterrupt):
        train_network([tiny_survey], "run", TINY, teachers=[teacher, teacher], watcher=Stop(), resume=True)
    assert len(asked) > before


def test_what_is_wrong_is_told_before_the_teachers_are_asked(tiny_survey: Path, tiny_model: Path) -> None:
    class Listen(Watcher):
        def asking(self, done: int, total: int) -> None:
            raise AssertionError

    with pytest.raises(UsageError, match="fewer than a batch"):
        train_network(
            [tiny_survey],
            "run",
            TINY.model_copy(update={"batch_size": 4096}),
            teachers=[load_model(tiny_model)],
            watcher=Listen(),
        )
    assert not Path("run").exists()


def test_the_first_layers_of_a_model_to_go_on_from_are_kept(
    tiny_survey: Path, tiny_run: Path, tiny_model: Path
) -> None:
    start = load_model(tiny_model)
    train_network([tiny_survey], "run", recipe.make_recipe(start, epochs=1, batch_size=16), start=start)
    now, _, _ = read_weights(Path("run") / recipe.AVERAGED)
    moved = {
        name.split(".")[1]
        for name, weights in restore(start, [])[0].state_dict().items()
        if not torch.equal(weights, now[name])
    }
    assert {"0", "1", "2", "3"}.isdisjoint(moved)
    assert {"4", "17"} <= moved


def test_a_teacher_changes_what_is_learned(tiny_survey: Path, tiny_run: Path, tiny_model: Path) -> None:
    train_network([tiny_survey], "run", TINY, teachers=[load_model(tiny_model)])
    losses = [[line["loss"] for line in run_files.read_history(folder)] for folder in (tiny_run, Path("run"))]
    assert losses[0] != losses[1]
    with pytest.raises(RunError, match="cannot be resumed with other settings: teachers was"):
        train_network([tiny_survey], "run", TINY, resume=True)


def test_a_teacher_that_may_know_what_is_held_back_is_refused(tiny_survey: Path, tiny_model: Path) -> None:
    teacher = load_model(tiny_model)
    with pytest.raises(UsageError, match="was trained on other parts of the data"):
        train_network([tiny_survey], "run", TINY.model_copy(update={"test_size": 0.3}), teachers=[teacher])
    with pytest.raises(UsageError, match=r"wants Framing\(size=32.*and this run Framing\(size=64"):
        train_network([tiny_survey], "run", TINY.model_copy(update={"size": 64}), teachers=[teacher])
    with pytest.raises(UsageError, match="does not answer the same questions"):
        train_network([tiny_survey], "run", TINY, questions=[GALAXY_MOOD], teachers=[teacher])


@pytest.mark.slow
def test_training_goes_on_from_a_model(tiny_survey: Path, tiny_model: Path) -> None:
    start = load_model(tiny_model)
    gentle = recipe.make_recipe(start, epochs=1, batch_size=16, learning_rate=1e-6)
    assert (gentle.width, gentle.size) == (8, 32)
    train_network([tiny_survey], "run", gentle, start=start)
    record = recipe.read_record(Path("run"))
    assert record.start == start.card.digest
    model = export("run", "further.onnx")
    pictures = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    # Hardly moved, it answers as before: it began with all that the model knows, not at random.
    before, now = (one.classify(pictures, views=1, framed=True).embedding for one in (start, model))
    np.testing.assert_allclose(now, before, atol=0.02 * float(np.abs(before).max()))
    assert model.card.training["start"] == start.card.digest


def test_what_goes_on_can_be_stopped_and_resumed(tiny_survey: Path, tiny_model: Path) -> None:
    start = load_model(tiny_model)
    short, long = (recipe.make_recipe(start, epochs=2, batch_size=16) for _ in range(2))

    class Stop(Watcher):
        def epoch(self, line: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network([tiny_survey], "run", short, start=start, watcher=Stop())
    train_network([tiny_survey], "run", short, start=start, resume=True)
    train_network([tiny_survey], "other", long, start=start)
    one, other = (read_weights(Path(folder) / recipe.AVERAGED)[0] for folder in ("run", "other"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=1e-6)
    with pytest.raises(RunError, match="with other settings: start was"):
        train_network([tiny_survey], "run", short, resume=True)


@pytest.mark.slow
def test_a_question_of_one_s_own_begins_with_a_taught_head(tiny_survey: Path, tiny_model: Path) -> None:
    sources, question = own_question([open_source(tiny_survey)], "survey")
    assert (question.name, question.answers) == ("survey", ("decals", "sdss"))
    asked: list[Any] = []

    class Listen(Watcher):
        def begin(self, record: RunRecord, parameters: int) -> None:
            asked.append(record.questions)

    start = load_model(tiny_model)
    gentle = recipe.make_recipe(start, epochs=1, batch_size=16)
    train_network(sources, "run", gentle, questions=[question], start=start, watcher=Listen())
    assert asked == [(question,)]
    assert [one.name for one in export("run", "own.onnx").card.questions] == ["survey"]


SHAPE = Question("shape", ("round", "long"))
SHARES = (0.9, 0.6, 0.1, 0.9)  # of those who call a galaxy of each kind of `tiny_survey` round


def vote(path: str, people: int = 20, **names: str) -> Path:
    """Write a table with the votes of so many people on each galaxy of `tiny_survey`."""
    round_ = [np.random.default_rng(number).binomial(people, SHARES[number % 4]) for number in range(100)]
    ids = [f"sim-{number:03d}" for number in range(100)]
    table = {"id": ids, "shape_round": round_, "shape_long": [people - one for one in round_]}
    pa.csv.write_csv(pa.table({names.get(name, name): values for name, values in table.items()}), path)
    return Path(path)


@pytest.mark.slow
def test_shares_of_votes_are_learned(tiny_survey: Path) -> None:
    sources, questions = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    longer = TINY.model_copy(update={"epochs": 50, "learning_rate": 0.005, "averaging": 0.9})
    history = train_network(sources, "run", longer, questions=questions)
    (score,) = [value for name, value in history[-1].items() if name == "val_shape"]
    assert max(score["deviation"]) < 0.25  # that of the mean share is 0.33
    assert max(score["deviation"]) < 0.7 * max(history[0]["val_shape"]["deviation"])
    model = export(Path("run"), "model.onnx")
    assert model.card.questions[0].votes == ("shape_round", "shape_long")
    galaxies = read_answered(sources, questions, model.framing)
    said = model.classify(galaxies.pictures, framed=True).probabilities["shape"][:, 0]
    kinds = np.array([int(id_[-3:]) % 4 for id_ in galaxies.ids])
    means = [said[kinds == kind].mean() for kind in range(3)]
    assert min(means[:2]) > means[2] + 0.3


def test_rows_with_votes_come_once_an_epoch_and_answers_count_alike(tiny_survey: Path) -> None:
    sources, questions = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    galaxies = read_answered(sources, questions, TINY.training_framing)
    parts, _ = split_galaxies(galaxies, sources, TINY)
    assert draws(galaxies, parts.training).tolist() == parts.training.tolist()


@pytest.mark.slow
def test_other_votes_are_another_run(tiny_survey: Path) -> None:
    one = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    train_network(one[0], "run", TINY, questions=one[1])
    other = told_questions([open_source(tiny_survey)], [SHAPE], vote("more.csv", people=19))
    with pytest.raises(RunError, match="data_digest was"):
        train_network(other[0], "run", TINY, questions=other[1], resume=True)
    renamed = [Question("shape", SHAPE.answers, votes=SHAPE.answers)]
    votes = vote("named.csv", shape_round="round", shape_long="long")
    sources, _ = told_questions([open_source(tiny_survey)], renamed, votes)
    with pytest.raises(RunError, match=r"with other settings: answers, columns or trust of shape differ$"):
        train_network(sources, "run", TINY, questions=renamed, resume=True)


def test_votes_on_what_is_new_to_a_model_begin_with_a_fitted_head(tiny_survey: Path, tiny_model: Path) -> None:
    sources, questions = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    start = load_model(tiny_model)
    few = recipe.make_recipe(start, epochs=1, batch_size=16, learning_rate=1e-6)
    history = train_network(sources, "run", few, questions=questions, start=start)
    assert max(history[0]["val_shape"]["deviation"]) < 0.33


@pytest.mark.slow
def test_the_spread_of_votes_is_learned_and_written(tiny_survey: Path, tiny_model: Path) -> None:
    barred = Question("bar", ("no", "yes"), votes=("shape_long", "shape_round"), after=(("shape", "round"),))
    sources, _ = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    shape = Question("shape", SHAPE.answers, votes=("shape_round", "shape_long"))
    start = load_model(tiny_model)
    few = recipe.make_recipe(start, epochs=1, batch_size=16, learning_rate=1e-6, votes="dirichlet")
    history = train_network(sources, "run", few, questions=[shape, barred], start=start)
    assert history[0]["val_shape"]["votes_log_likelihood"] < 0
    assert recipe.read_notes(Path("run"))["temperatures"] == {"shape": 1.0, "bar": 1.0}
    model = export(Path("run"), "votes.onnx")
    assert set(model.card.spreads) == {"shape", "bar"}
    pictures = np.zeros((3, 32, 32, 3), np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None, None]
    answers = model.classify(pictures, framed=True)
    found = answers.concentrations["shape"]
    np.testing.assert_allclose(found / found.sum(axis=1, keepdims=True), answers.probabilities["shape"], rtol=1e-4)
    table = predict(open_source(tiny_survey), None, model).to_arrow()
    low, chance, high = (table[name].to_numpy() for name in ("low_shape_round", "p_shape_round", "high_shape_round"))
    assert (low >= 0).all()
    assert (low < chance).all()
    assert (chance < high).all()
    assert (high <= 1).all()
    joint = table["p_shape_round"].to_numpy() * table["p_bar_yes"].to_numpy()
    np.testing.assert_allclose(table["p_joint_bar_yes"].to_numpy(), joint, rtol=1e-5)
    assert "p_joint_shape_round" not in table.column_names


@pytest.mark.slow
def test_shares_alone_have_no_spread(tiny_survey: Path, tiny_model: Path) -> None:
    sources, questions = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv"))
    start = load_model(tiny_model)
    few = recipe.make_recipe(start, epochs=1, batch_size=16, learning_rate=1e-6)
    train_network(sources, "run", few, questions=questions, start=start)
    model = export(Path("run"), "votes.onnx")
    assert (model.card.spreads, "low_shape_round" in {one.name for one in vote_columns(model)}) == ({}, False)
    other = few.model_copy(update={"votes": "dirichlet"})
    with pytest.raises(RunError, match="votes"):
        train_network(sources, "run", other, questions=questions, start=start, resume=True)


@pytest.mark.slow
def test_a_teacher_is_asked_about_votes_however_few(tiny_survey: Path) -> None:
    sources, questions = told_questions([open_source(tiny_survey)], [SHAPE], vote("votes.csv", people=3))
    one_epoch = TINY.model_copy(update={"epochs": 1})
    train_network(sources, "first", one_epoch, questions=questions)
    teacher = export(Path("first"), "first.onnx")
    alone = train_network(sources, "alone", one_epoch, questions=questions)
    taught = train_network(sources, "taught", one_epoch, questions=questions, teachers=[teacher])
    assert taught[0]["loss"] != alone[0]["loss"]


def test_a_table_without_votes_says_what_it_has(tiny_survey: Path) -> None:
    votes = vote("votes.csv", shape_round="smooth")
    with pytest.raises(LabelError, match=r"no columns of votes on shape, such as shape_round, .* smooth, shape_long"):
        told_questions([open_source(tiny_survey)], [SHAPE], votes)


def test_of_several_rows_of_votes_the_last_counts(tiny_survey: Path) -> None:
    votes = vote("votes.csv")
    votes.write_text(votes.read_text() + "sim-000,0,3\n")
    with pytest.warns(PeculiarWarning, match="several rows; the last of each counts"):
        (source,), _ = told_questions([open_source(tiny_survey)], [SHAPE], votes)
    assert source.column("shape_long")[0] == "3"


def test_labels_may_lie_in_a_table_of_their_own(tiny_survey: Path) -> None:
    Path("labels.csv").write_text("id,mood\n" + "".join(f"sim-{n:03d},{'ab'[n % 2]}\n" for n in range(40)))
    sources, question = own_question([open_source(tiny_survey)], labels="labels.csv")
    assert (question.name, question.answers) == ("mood", ("a", "b"))
    (source,) = sources
    assert len(source) == 100
    assert source.labels()[:3] == ["a", "b", "a"]
    assert source.labels()[40:] == [None] * 60
    assert source.column("survey")[:2] == ["decals", "sdss"]
    assert [galaxy.label for galaxy in source.galaxies(Framing(8), stop=2)] == ["a", "b"]
    assert sum(1 for _ in source.galaxies(Framing(8), labelled_only=True)) == 40
    assert source.ids() == open_source(tiny_survey).ids()
    assert source.fingerprint(0, 10) == open_source(tiny_survey).fingerprint(0, 10)


def test_labels_of_galaxies_that_are_not_there_are_told(tiny_survey: Path) -> None:
    Path("labels.csv").write_text("id,mood\nsim-001,a\nM31,b\nsim-002,b\nM33,b\n")
    with pytest.warns(
        PeculiarWarning, match=r"labels of galaxies that are not in the data: 2 of 4; the first is 'M31'"
    ):
        own_question([open_source(tiny_survey)], labels="labels.csv")


def test_labels_of_other_galaxies_and_columns_that_are_not_there(tiny_survey: Path) -> None:
    Path("labels.csv").write_text("id,mood\nM31,a\nM33,b\n")
    source = open_source(tiny_survey)
    with pytest.raises(LabelError, match=r"none of its 100 galaxies has one of the 2 labels; .*'sim-000'.*'M31'"):
        own_question([source], labels="labels.csv")
    Path("labels.csv").write_text("id,mood\nM31,\n")
    with pytest.raises(LabelError, match=r"the table of its labels has no row with an id and a label"):
        own_question([source], labels="labels.csv")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'survey'"):
        own_question([source], "survy")


def test_a_model_of_another_width_is_not_gone_on_from(tiny_survey: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=r"tiny\.onnx cannot be fine-tuned with other width: it has 8, this run 16"):
        train_network([tiny_survey], "run", TINY.model_copy(update={"width": 16}), start=load_model(tiny_model))


def test_another_body_is_not_gone_on_from(tiny_survey: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = load_model(tiny_model)
    other = recipe.make_recipe(start, body="residual", batch_size=16)
    monkeypatch.setattr(loop, "read_answered", None)  # nothing is read before
    with pytest.raises(UsageError, match="other body: it has lite, this run residual; leave body, width and size"):
        train_network([tiny_survey], "run", other, start=start)
    told = {**start.card.training, "recipe": {**start.card.training["recipe"], "body": "residual"}}
    with pytest.raises(ModelError, match=r"tiny\.onnx cannot be trained further: .*body lite"):
        recipe.make_recipe(start.with_card(start.card.model_copy(update={"training": told})))


def test_what_goes_on_from_a_model_is_not_said_to_begin_with_imagenet(tiny_survey: Path, tiny_model: Path) -> None:
    wanted = Recipe(width=32, size=32, epochs=1).model_copy(update={"width": 8})
    train_network([tiny_survey], "run", wanted, start=load_model(tiny_model))
    assert not recipe.read_record(Path("run")).recipe.pretrained


@pytest.mark.parametrize("name", ["type", "training", "my.col", "embedding"])
@pytest.mark.slow
def test_a_question_may_be_called_as_a_part_of_the_network(tiny_survey: Path, name: str) -> None:
    pa.csv.write_csv(pa.table({"id": [f"sim-{n:03d}" for n in range(100)], name: ["a", "b"] * 50}), "labels.csv")
    sources, question = own_question([open_source(tiny_survey)], labels="labels.csv")
    train_network(sources, "run", TINY.model_copy(update={"epochs": 1}), questions=[question])
    model = export("run", "own.onnx")
    assert [one.name for one in model.card.questions] == [name]
    assert restore(model, [question])[1] == []


def test_parts_without_a_galaxy_are_told(tiny_survey: Path) -> None:
    def labelled(*, training: bool) -> list[Source]:
        ids = [f"sim-{n:03d}" for n in range(100)]
        parts = [part_of(id_, validation_size=0.1, test_size=0.15) for id_ in ids]
        chosen = [id_ for id_, part in zip(ids, parts, strict=True) if (part == "training") == training]
        lines = [f"{id_},{'ab'[number % 2]}\n" for number, id_ in enumerate(chosen)]
        Path("labels.csv").write_text("id,mood\n" + "".join(lines))
        return own_question([open_source(tiny_survey)], labels="labels.csv")[0]

    mood = Question("mood", ("a", "b"))
    with pytest.raises(LabelError, match=r"none of the \d+ galaxies falls into the validation part"):
        train_network(labelled(training=True), "run", TINY, questions=[mood])
    with pytest.raises(LabelError, match="no galaxy of the training part answers 'mood'"):
        train_network(labelled(training=False), "run", TINY, questions=[mood])


def test_weights_of_imagenet_are_for_one_body_and_width() -> None:
    with pytest.raises(
        UsageError, match=r"^pretrained: ImageNet weights .* not for lite of width 16; .*--from scratch"
    ):
        recipe.make_recipe(width=16)
    with pytest.raises(UsageError, match=r"^width: input should be greater than or equal to 8, received 5$"):
        recipe.make_recipe(width=5)


GALAXY_MOOD = Question(name="mood", answers=("sdss", "decals"), column="survey")


def test_a_run_from_python_writes_a_line_an_epoch(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = EpochLines()
    lines.begin(read_record(tiny_run), 1234)
    for line in run_files.read_history(tiny_run):
        lines.epoch(line)
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines()[0].endswith("questions: four_class, clean5, odd; 1,234 parameters")
    assert [line[:9] for line in errors.splitlines()[1:]] == ["epoch 1/2", "epoch 2/2"]


def test_a_model_file_keeps_what_it_was_trained_on(tiny_run: Path, tiny_model: Path) -> None:
    split = run_files.read_split(tiny_run)
    seen = Seen(tuple(load_model(tiny_model).card.training[SEEN]))
    assert dict(zip(split, seen.among(list(split)).tolist(), strict=True)) == {
        id_: part == "training" for id_, part in split.items()
    }
