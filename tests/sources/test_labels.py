"""Labels and votes in a table of their own, whose ids are written in another way than those of the pictures."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peculiar.errors import LabelError, PeculiarWarning, UnknownNameError
from peculiar.images.decode import encode_picture
from peculiar.questions.question import Question
from peculiar.questions.question_file import find_tree
from peculiar.sources import MemorySource, open_source
from peculiar.sources.labels import ColumnsById, open_labelled, own_question, read_labels, told_questions, with_most
from peculiar.sources.stream import Source


def write_pictures(*names: str) -> Path:
    """Pictures of one grey each, at paths below a folder."""
    for number, name in enumerate(names):
        path = Path("pictures", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(np.full((32, 32, 3), 5 * number, np.uint8)))
    return Path("pictures")


def write_labels(*rows: tuple[object, ...], head: tuple[str, ...] = ("id", "label")) -> Path:
    with Path("labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return Path("labels.csv")


def read(source: Source) -> dict[str, str | None]:
    return dict(zip(source.ids(), source.labels(), strict=True))


@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda id_: f"{id_}.jpg",
        lambda id_: f"{id_}.0",
        lambda id_: f"b'{id_}'",
        lambda id_: f" {id_} ",
        lambda id_: f"/data/images_training_rev1/{id_}.JPG",
        lambda id_: f"C:\\galaxies\\{id_}.png",
    ],
)
def test_labels_find_their_pictures_however_ids_are_written(write: Any) -> None:
    folder = write_pictures("100008.jpg", "100023.jpg", "100053.jpg")
    labels = write_labels((write(100008), "odd"), (write(100053), "plain"))
    (source,), question = own_question([open_source(folder)], labels=labels)
    assert read(source) == {"100008.jpg": "odd", "100023.jpg": None, "100053.jpg": "plain"}
    assert question.answers == ("odd", "plain")
    assert source.joined.startswith("pictures: 2 of 3 galaxies joined by id; ids were compared ")
    assert [row.label for row in source.rows()] == ["odd", None, "plain"]


def test_labels_of_galaxies_that_are_not_there_are_counted() -> None:
    folder = write_pictures("1.jpg", "2.jpg")
    labels = write_labels(("1", "a"), ("2", "b"), ("3", "b"), ("4", "a"))
    with pytest.warns(
        PeculiarWarning, match=r"labels\.csv: labels of galaxies that are not in the data: 2 of 4; .*'3'"
    ):
        own_question([open_source(folder)], labels=labels)


def test_what_may_be_either_is_refused() -> None:
    folder = write_pictures("A/1.jpg", "B/1.jpg")
    labels = write_labels(("1", "a"), ("2", "b"))
    with pytest.raises(LabelError, match=r"no id is the same in both, and .*A/1\.jpg.*B/1\.jpg.*would be '1'"):
        own_question([open_source(folder)], labels=labels)
    labels = write_labels(("train/A/1.jpg", "a"), ("train/B/1.jpg", "b"))
    (source,), _ = own_question([open_source(folder)], labels=labels)
    assert read(source) == {"A/1.jpg": "a", "B/1.jpg": "b"}


def test_ids_that_have_nothing_in_common_are_told() -> None:
    folder = write_pictures("1.jpg")
    with pytest.raises(LabelError, match=r"none of its 1 galaxies has one of the 2 labels.*'1\.jpg'.*'x'.*--id"):
        own_question([open_source(folder)], labels=write_labels(("x", "a"), ("y", "b")))


def test_votes_find_their_pictures() -> None:
    folder = write_pictures("7.jpg", "8.jpg")
    labels = write_labels(("7", 0.6, 0.3, 0.1), ("8", 0.1, 0.8, 0.1), head=("id", "Class1.1", "Class1.2", "Class1.3"))
    (source,), (question,) = told_questions([open_source(folder)], find_tree("gz2").questions, labels)
    assert question.votes == ("Class1.1", "Class1.2", "Class1.3")
    assert source.column("Class1.2") == ["0.3", "0.8"]
    assert "2 of 2 galaxies joined" in source.joined


def test_other_columns_of_the_table_of_labels_are_seen_where_the_data_have_none() -> None:
    folder = write_pictures("1.jpg", "2.jpg", "3.jpg")
    labels = write_labels(("1", "a", "north", "5"), ("3", "b", "south", ""), head=("id", "label", "field", "z"))
    (source,), _ = own_question([open_source(folder)], labels=labels)
    assert {"label", "field", "z"} <= set(source.columns)
    assert source.column("field") == ["north", None, "south"]
    assert source.column("z") == ["5", None, None]


@pytest.mark.slow
def test_a_report_by_and_in_groups_of_columns_beside_the_labels(
    peculiar_command: Any,
    tiny_survey: Path,
    tiny_model: Path,
) -> None:
    rows = [(f"sim-{n:03d}", ("odd", "not_odd")[n % 2], f"field {n // 10}", n / 10) for n in range(40)]
    labels = write_labels(*rows, head=("id", "odd", "field", "seeing"))
    words = ("--labels", labels, "--by", "seeing", "--group", "field", "--include-training", "--json")
    status, output, errors = peculiar_command("evaluate", tiny_survey, "--model", tiny_model, "--label", "odd", *words)
    assert status == 0, errors
    found = json.loads(output)
    assert len(found["by"]["seeing"]) == 4
    assert sum(part["count"] for part in found["by"]["seeing"].values()) == 40
    # The same of a table of probabilities.
    status, _, errors = peculiar_command("predict", tiny_survey, "--model", tiny_model, "--out", "c.parquet")
    assert status == 0, errors
    words = ("--label", "odd", *words, "--out", "of-the-table")
    status, output, errors = peculiar_command("evaluate", "c.parquet", "--model", tiny_model, *words)
    assert status == 0, errors
    again = json.loads(output)
    assert again["by"]["seeing"].keys() == found["by"]["seeing"].keys()
    assert again["model"] == found["model"]


@pytest.mark.slow
def test_the_galaxy_challenge_as_it_is_unpacked(peculiar_command: Any) -> None:
    folder = write_pictures(*(f"{100008 + 15 * n}.jpg" for n in range(40)))
    rng = np.random.default_rng(5)
    tasks = {1: 3, 2: 2, 6: 2}
    head = ("GalaxyID", *(f"Class{task}.{n}" for task, count in tasks.items() for n in range(1, count + 1)))
    rows = [
        (100008 + 15 * n, *np.concatenate([rng.dirichlet(np.ones(count)) for count in tasks.values()]))
        for n in range(40)
    ]
    labels = write_labels(*rows, head=head)
    status, output, errors = peculiar_command("evaluate", folder, "--labels", labels, "--question", "gz2", "--json")
    assert status == 0, errors
    found = json.loads(output)
    assert (found["question"], found["scores"]["count"]) == ("odd", 40)
    assert set(found["deviations"]) == {"not_odd", "odd"}
    words = ("--labels", labels, "--question", "gz2", "--from", "galaxy", "--epochs", 1, "--out", "run")
    status, _, errors = peculiar_command("train", folder, *words)
    assert status == 0, errors
    assert "40 of 40 galaxies joined by id" in errors
    # No votes on what the model answers.
    labels = write_labels(*((row[0], *row[1:4]) for row in rows), head=head[:4])
    words = ("--labels", labels, "--question", "gz2", "--out", "other")
    status, _, errors = peculiar_command("evaluate", folder, *words)
    assert status == 2
    assert "answers four_class, clean5, odd" in errors
    assert "peculiar train DATA --labels labels.csv --question gz2" in errors


def test_a_named_column_of_ids_serves_every_column_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("id,other,shape,seeing\n9,picture-0,round,1.5\n8,picture-1,flat,0.7\n")
    source = MemorySource(np.zeros((2, 8, 8, 3), np.uint8))
    question = Question("shape", ("round", "flat"))
    (joined,), _ = told_questions([source], [question], tmp_path / "votes.csv", "other")
    assert (joined.column("shape"), joined.column("seeing")) == (["round", "flat"], ["1.5", "0.7"])


def test_rows_without_an_id_are_no_galaxy_with_several() -> None:
    folder = write_pictures("7.jpg", "8.jpg")
    labels = write_labels(("7", "round"), ("", "flat"), ("", "round"), head=("id", "shape"))
    (joined,), _ = told_questions([open_source(folder)], [Question("shape", ("round", "flat"))], labels)
    assert joined.column("shape") == ["round", None]
    assert joined.kind == "pictures with labels"
    with pytest.warns(PeculiarWarning, match=r"labels\.csv: some galaxies have several rows; the last of each counts"):
        told_questions(
            [open_source(folder)],
            [Question("shape", ("round", "flat"))],
            write_labels(("7", "round"), ("7", "flat"), head=("id", "shape")),
        )


def test_the_majority_of_votes_is_the_label(tmp_path: Path) -> None:
    folder = write_pictures("7.jpg", "8.jpg", "9.jpg")
    labels = write_labels(("7", 5, 2), ("8", 3, 3), ("9", 0, 4), head=("id", "n_no_shell", "n_shell"))
    shell = Question("shell", ("no_shell", "shell"))
    source, question = with_most(open_source(folder), shell, labels)
    assert question.votes == ("n_no_shell", "n_shell")
    assert source.labels() == ["no_shell", None, "shell"]
    assert "3 of 3 galaxies joined" in source.joined


def test_what_is_not_of_the_labels_is_that_of_the_data(tiny_survey: Path) -> None:
    data = open_source(tiny_survey)
    (source,), _ = own_question([data], labels=write_labels(("sim-001", "a"), ("sim-002", "b")))
    assert source.files() == data.files()
    assert source.behind(0, 5) == data.behind(0, 5)
    assert source.fingerprint(0, 5) == data.fingerprint(0, 5)
    described = source.described(["ra"])
    assert [column.name for column in described] == ["ra"]
    assert [batch.to_pydict() for batch in source.carried(described, 0, 3)] == [
        batch.to_pydict() for batch in data.carried(described, 0, 3)
    ]


def test_a_column_of_ids_that_neither_table_has_is_told() -> None:
    folder = write_pictures("1.jpg")
    with pytest.raises(UnknownNameError, match=r"no column 'key' in labels\.csv"):
        open_labelled(folder, labels=write_labels(("1", "a")), id="key")


@pytest.mark.parametrize("kind", ["folder", "tar", "zip", "npz", "metadata"])
def test_labels_may_be_those_of_pictures(kind: str) -> None:
    folder = write_pictures("ring/1.png", "plain/2.png", "ring/3.png")
    data: Path = folder
    if kind in ("tar", "zip"):
        data = Path(shutil.make_archive("packed", kind, folder))
    elif kind == "npz":
        data = Path("packed.npz")
        one_hot = np.eye(4, dtype=np.float32)[[1, 0, 1]]
        pictures = np.zeros((3, 8, 8, 3), np.uint8)
        np.savez(data, data=pictures, labels=one_hot, id=["ring/1.png", "plain/2.png", "ring/3.png"])
    elif kind == "metadata":
        lines = ["file_name,label,id", "ring/1.png,Ring,7", "plain/2.png,Plain,8", "ring/3.png,Ring,9"]
        Path("pictures", "metadata.csv").write_text("\n".join(lines))
    ring, plain = {"npz": ("Ringed", "Normal"), "metadata": ("Ring", "Plain")}.get(kind, ("ring", "plain"))
    _, by_id = read_labels(data)
    assert by_id == {"ring/1.png": ring, "plain/2.png": plain, "ring/3.png": ring}
    assert dict(ColumnsById(data)[read_labels(data)[0]]) == by_id


def test_pictures_without_labels_are_no_labels() -> None:
    folder = write_pictures("1.png", "2.png")
    with pytest.raises(LabelError, match="pictures: these pictures have no labels; put the pictures into"):
        read_labels(folder)
