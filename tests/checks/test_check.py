"""Checks: planted defects of every kind are found, a clean set has none, and the cleaned list and the page agree."""

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from peculiar.checks.check import check
from peculiar.checks.findings import KINDS, CheckResult, Finding, Problem
from peculiar.checks.page import write_cleaned, write_report
from peculiar.cli import app
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.images.defects import Defect
from peculiar.models.model_file import Answers, Model
from peculiar.questions.question import FOUR_CLASS
from peculiar.questions.question_file import find_tree
from peculiar.sources.simulated import simulate
from peculiar.sources.split import split_by_id
from peculiar.tables.formats import MODEL_NOTE

COUNT = 40
SIMULATED = simulate(COUNT, size=96, seed=3)
PNGS = [encode_picture(picture) for picture in SIMULATED.pictures]
LABELS = [FOUR_CLASS.answers[int(number)] for number in SIMULATED.labels.argmax(axis=1)]


def galaxy(row: int, **other: Any) -> dict[str, Any]:
    spread = {"ra": 10.0 + row, "dec": -5.0 + row / 10}
    return {"id": f"g{row}", "image": PNGS[row], "four_class": LABELS[row], "part": "training", **spread, **other}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """Return forty galaxies, followed by one defect per row."""
    turned = np.asarray(Image.fromarray(SIMULATED.pictures[5]).rotate(50, Image.Resampling.BICUBIC))
    other = next(answer for answer in FOUR_CLASS.answers if answer != LABELS[5])
    faults = [
        galaxy(0, id="unreadable", image=b"no picture"),
        galaxy(1, id="tiny", image=encode_picture(SIMULATED.pictures[1][40:56, 40:56])),
        galaxy(2, id="constant", image=encode_picture(np.full((96, 96, 3), 7, dtype=np.uint8))),
        galaxy(3, id="file"),
        galaxy(4, id="pixels", image=_bmp(4)),
        galaxy(5, id="turned", image=encode_picture(turned), four_class=other, part="validation"),
        galaxy(6, id="g7", ra=200.0),
    ]
    rows = [galaxy(row) for row in range(COUNT)] + faults
    for number, row in enumerate(rows):
        row["ra"] += 0.0 if number < COUNT else 100.0
    rows[COUNT + 6]["image"] = encode_picture(simulate(1, size=96, seed=77).pictures[0])
    rows[8]["ra"], rows[8]["dec"] = rows[9]["ra"], rows[9]["dec"] + 0.5 / 3600
    return write(tmp_path / "sick.parquet", rows)


def _bmp(row: int) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    Image.fromarray(SIMULATED.pictures[row]).save(buffer, "BMP")
    return buffer.getvalue()


def named(found: CheckResult, kind: str) -> list[tuple[str, ...]]:
    return [tuple(found.ids[row] for row in one.rows) for one in found.of(kind)]


def test_every_planted_fault_is_found(sick: Path, tiny_model: Path) -> None:
    found = check(sick, split="part", model=tiny_model)
    assert named(found, "unreadable") == [("unreadable",)]
    assert named(found, "tiny") == [("tiny",)]
    assert named(found, "constant") == [("constant",)]
    assert named(found, "same file") == [("g3", "file")]
    assert named(found, "same pixels") == [("g4", "pixels")]
    assert named(found, "near duplicate") == [("g5", "turned")]
    assert re.search(r"turned by (49|50|51)°", found.of("near duplicate")[0].text)
    assert named(found, "contradiction") == [("g5", "turned")]
    assert named(found, "leak") == [("g5", "turned")]
    assert named(found, "neighbours") == [("g8", "g9")]
    assert named(found, "duplicate id") == [("g7", "g7")]
    assert list(found.counts()) == [kind for kind in KINDS if kind in found.counts()]


def test_a_sound_set_is_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "sound.parquet", [galaxy(row) for row in range(COUNT) if row != 99])
    found = check(path, radius=0)
    assert set(found.counts()) <= {"constant column", "clipped", "off-centre"}
    assert named(found, "constant column") == [()]
    assert "fewer than two classes" in found.skipped.get("suspect label", "fewer than two classes")


def test_pairs_keep_galaxies_in_one_part(sick: Path, tiny_model: Path) -> None:
    found = check(sick, model=tiny_model)
    split = split_by_id(found.ids, found.pairs(), validation_size=0.4, test_size=0.3)
    part = {row: name for name in ("training", "validation", "test") for row in getattr(split, name).tolist()}
    assert [part[first] for first, _ in found.pairs()] == [part[second] for _, second in found.pairs()]
    assert len(found.pairs()) == 5


def test_a_cleaned_list_keeps_one_of_each_and_says_why(sick: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = sick.read_bytes()
    found = check(sick, model=tiny_model)
    with write_cleaned(found, tmp_path / "out" / "clean.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == found.ids
    dropped = {line["id"]: line["reason"] for line in lines if line["kept"] == "no"}
    assert {"unreadable", "tiny", "constant", "file", "pixels", "turned", "g7"} <= set(dropped)
    assert dropped["file"].startswith("same file as g3")
    # Whose label is right is not known.
    assert dropped["g5"].startswith("contradiction")
    assert {"g3", "g4", "g8", "g9"} <= {line["id"] for line in lines if line["kept"] == "yes"}
    assert sick.read_bytes() == before


def test_the_first_that_is_whole_stands_for_its_copies() -> None:
    findings = [
        Finding(Defect.CLIPPED, (0,), ""),
        Finding(Problem.NEAR_DUPLICATE, (0, 1), ""),
        Finding(Problem.SAME_FILE, (1, 2), ""),
    ]
    found = CheckResult(Path("x"), ["a", "b", "c"], [None] * 3, findings)
    assert sorted(found.dropped()) == [0, 2]


def test_of_duplicates_in_a_chain_one_is_kept() -> None:
    findings = [Finding(Problem.NEAR_DUPLICATE, rows, "") for rows in ((0, 1), (1, 2), (2, 4), (3, 4))]
    dropped = CheckResult(Path("x"), list("abcde"), [None] * 5, findings).dropped()
    assert dropped == dict.fromkeys([1, 2, 3, 4], "near duplicate as a: ")
    findings.append(Finding(Problem.CONTRADICTION, (0, 1, 2, 3, 4), "labelled x and y"))
    assert sorted(CheckResult(Path("x"), list("abcde"), [None] * 5, findings).dropped()) == [0, 1, 2, 3, 4]


def test_the_page_needs_no_other_file(sick: Path, tiny_model: Path, tmp_path: Path) -> None:
    found = check(sick, split="part", model=tiny_model)
    page = write_report(found, tmp_path / "report").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    for kind in found.counts():
        assert kind[:1].upper() + kind[1:] in page
    assert page.count("data:image/jpeg") >= 10
    written = json.loads((tmp_path / "report" / "check.json").read_text())
    assert written == json.loads(json.dumps(found.as_dict()))
    assert written["counts"]["same file"] == 1
    # Each galaxy of a finding, in the order of the page, for the labelling pages.
    table = pa.csv.read_csv(tmp_path / "report" / "findings.csv")
    rows = [row for one in found.findings for row in one.rows]
    assert table["row"].to_pylist() == rows
    assert table["id"].to_pylist() == [found.ids[row] for row in rows]
    asked = re.search(
        rf"peculiar label {sick} --question (\S+) --only {tmp_path}/report/findings\.csv", html.unescape(page)
    )
    assert asked is not None
    assert set(found.labels) - {None} <= set(find_tree(asked[1]).root.answers)


def test_a_page_of_data_that_changed_is_refused(sick: Path, tiny_model: Path, tmp_path: Path) -> None:
    found = check(sick, model=tiny_model)
    found.ids = [f"other-{id_}" for id_ in found.ids]
    with pytest.raises(DataError, match="has changed since it was checked"):
        write_report(found, tmp_path / "report")


def test_the_page_reads_the_columns_that_were_checked(tmp_path: Path) -> None:
    rows = [{"name": f"n{row}", **galaxy(row)} for row in (0, 0, 1)]
    found = check(write(tmp_path / "g.parquet", rows), id="name")
    assert "data:image/jpeg" in write_report(found, tmp_path / "report").read_text(encoding="utf-8")


def test_pictures_without_an_embedding_are_not_judged(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [galaxy(row, four_class=("Normal", "Merger")[row % 2]) for row in range(COUNT)]
    classify = Model.classify

    def without_the_first(self: Model, pictures: Any, **how: Any) -> Answers:
        answers = classify(self, pictures, **how)
        answers.embedding[:1] = np.nan if len(pictures) > 1 else answers.embedding[:1]
        return answers

    monkeypatch.setattr(Model, "classify", without_the_first)
    judged = {one.row for one in check(write(tmp_path / "g.parquet", rows), model=tiny_model).ranking}
    assert 20 < len(judged) < COUNT
    assert 0 not in judged


def test_suspect_labels_are_ranked(tmp_path: Path, tiny_model: Path) -> None:
    rows = [galaxy(row, four_class=("Normal", "Merger")[row % 2]) for row in range(COUNT)]
    found = check(write(tmp_path / "g.parquet", rows), model=tiny_model)
    broken = len({one.rows for one in found.findings if one.kind.remedy == "drop"})
    assert len(found.ranking) == COUNT - broken
    assert [one.quality for one in found.ranking] == sorted(one.quality for one in found.ranking)
    assert all(one.label != one.better for one in found.ranking)


def test_copies_of_one_galaxy_are_no_class(tmp_path: Path) -> None:
    rows = [galaxy(row, four_class="Normal") for row in range(20)]
    rows += [galaxy(30, id=f"copy{number}", four_class="Merger") for number in range(20)]
    assert "different galaxies" in check(write(tmp_path / "g.parquet", rows)).skipped["suspect label"]


def test_imbalance_is_found(tmp_path: Path) -> None:
    rows = [galaxy(row, four_class="Normal" if row else "Merger") for row in range(22)]
    found = check(write(tmp_path / "g.parquet", rows))
    assert found.of("imbalance")[0].text == "21 are Normal, 1 Merger"


def test_the_faults_of_the_published_galaxy10_catalogue(tmp_path: Path) -> None:
    """A redshift column equal to DEC, and 59 pairs within an arcsecond, in a table without pictures."""
    random = np.random.default_rng(59)
    ra, dec = random.uniform(0, 360, 3000), random.uniform(-18, 34, 3000)
    ra[:59], dec[:59] = ra[1000:1059], dec[1000:1059] + random.uniform(-0.9, 0.9, 59) / 3600
    path = write(tmp_path / "g10.parquet", [{"ra": a, "dec": d, "redshift": d} for a, d in zip(ra, dec, strict=True)])
    found = check(path)
    assert [one.text for one in found.of("copied column")] == ["redshift is equal to dec in 3,000 of 3,000 rows"]
    assert sorted(one.rows for one in found.of("neighbours")) == [(row, row + 1000) for row in range(59)]
    assert "no column holds pictures" in found.skipped["pictures"]


@pytest.mark.parametrize(
    ("columns", "label", "kinds"),
    [
        ({"label": "Merger"}, None, {"label spelling", "imbalance"}),
        ({"kind": "Merger"}, "kind", {"label spelling", "imbalance"}),
        ({"kind": "Merger"}, None, set()),
        ({"class": "Merger", "p_merger": 0.5}, None, set()),  # the answers of a model
        ({"class": "Merger", "p_merger": 0.5}, "class", {"label spelling", "imbalance"}),
    ],
)
def test_labels_of_a_table_without_pictures_are_looked_at(
    columns: dict[str, Any], label: str | None, kinds: set[str], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"id": f"g{row}", "z": row / 10, **columns} for row in range(44)]
    name = next(iter(columns))
    rows[0][name], rows[1][name] = "merger ", "Other"
    found = check(write(tmp_path / "g.parquet", rows), label=label)
    assert {str(one.kind) for one in found.findings} & {"label spelling", "imbalance"} == kinds


def test_ids_of_a_table_are_those_of_its_first_usual_name(tmp_path: Path) -> None:
    rows = [{"name": "Virgo", "z": row / 10, "objid": 1237 + row} for row in range(3)]
    found = check(write(tmp_path / "g.parquet", rows))
    assert (found.ids, found.of("duplicate id")) == (["1237", "1238", "1239"], [])


def test_columns_of_hdf5_are_looked_at(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["images"] = SIMULATED.pictures
        file["ra"], file["dec"] = np.arange(COUNT) * 2.0, np.arange(COUNT) * 1.0
        file["redshift"] = np.arange(COUNT) * 1.0
    found = check(tmp_path / "g.h5")
    assert [one.text for one in found.of("copied column")] == ["redshift is equal to dec in 40 of 40 rows"]


def test_a_split_in_another_file_is_read(sick: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "split.csv").write_text("id,part\ng3,training\nfile,validation\ng4,training\npixels,training\n")
    assert named(check(sick, split=tmp_path / "run", model=tiny_model), "leak") == [("g3", "file")]


def test_a_split_by_a_named_column_of_ids(tmp_path: Path) -> None:
    table = "id,other,ra,dec\n1,a,1,1\n2,b,1,1\n"
    (tmp_path / "t.csv").write_text(table)
    (tmp_path / "split.csv").write_text("id,other,part\n9,a,training\n8,b,test\n")
    found = check(tmp_path / "t.csv", split=tmp_path / "split.csv", id="other")
    assert [one.text for one in found.of("leak")] == ["in the parts test and training"]


def test_an_id_in_two_parts_is_a_leak(tmp_path: Path) -> None:
    rows = [
        {"id": id_, "z": z, "part": part}
        for id_, z, part in (("a", 0.1, "training"), ("b", 0.2, ""), ("a", 0.3, "test"))
    ]
    path = write(tmp_path / "g.parquet", rows)
    (leak,) = check(path, split="part").of("leak")
    assert (leak.rows, leak.text) == ((0, 2), "in the parts test and training")
    (tmp_path / "split.csv").write_text("id,part\nb,training\na,training\nb,test\n")
    (leak,) = check(path, split=tmp_path / "split.csv").of("leak")
    assert (leak.rows, leak.text) == ((1,), "in the parts test and training")


def test_ids_that_are_numbers_are_found_in_a_split(tmp_path: Path) -> None:
    path = write(tmp_path / "g.parquet", [{"id": 1000.0, "z": 0.1}, {"id": 2000.0, "z": 0.2}])
    write(
        tmp_path / "split.parquet",
        [{"id": id_, "part": part} for id_, part in ((1000.0, "training"), (1000.0, "test"))],
    )
    (leak,) = check(path, split=tmp_path / "split.parquet").of("leak")
    assert leak.rows == (0,)


def test_what_a_user_does_wrong_is_said(sick: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 arcseconds or more, received -1"):
        check(sick, radius=-1)
    with pytest.raises(NotFoundError, match="neither a column nor a table with the columns id and part"):
        check(sick, split="prt")
    (tmp_path / "split.csv").write_text("id,part\nelsewhere,training\n")
    with pytest.raises(DataError, match="none of its ids is in the data"):
        check(sick, split=tmp_path / "split.csv")
    (tmp_path / "split.csv").write_text("field,part\nelsewhere,training\n")
    with pytest.raises(UnknownNameError, match="no column 'id'"):
        check(sick, split=tmp_path / "split.csv")
    with pytest.raises(UnknownNameError, match="no column 'klass'"):
        check(sick, label="klass")
    with pytest.raises(NotFoundError, match="there is nothing at"):
        check(tmp_path / "nowhere")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="of an unknown kind"):
        check(tmp_path / "noise.bin")


def test_a_folder_of_parts_without_pictures_is_a_table(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write(tmp_path / f"{part}.parquet", [{"id": part, "ra": 1.0, "dec": 2.0, "p_odd": 0.5}])
    found = check(tmp_path)
    assert found.ids == ["a", "b"]
    assert "pictures" in found.skipped


def test_a_catalogue_among_the_pictures_is_not_looked_at(tmp_path: Path) -> None:
    # `peculiar predict .` writes one there, with a name before those of the tables.
    rows = [galaxy(row) for row in range(20)]
    write(tmp_path / "m0.parquet", rows[:10])
    write(tmp_path / "m1.parquet", rows[10:])
    alone = check(tmp_path)
    answers = pa.table({"id": [row["id"] for row in rows], "ra": [0.0] * 20, "dec": [95.0] * 20, "p_odd": [0.5] * 20})
    for name in ("catalog.parquet", ".hidden.parquet"):
        pa.parquet.write_table(answers.replace_schema_metadata({MODEL_NOTE: "0" * 64}), tmp_path / name)
    assert check(tmp_path).findings == alone.findings


def test_pictures_of_which_none_can_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "g.parquet", [{"id": "a", "image": b"?"}, {"id": "b", "image": b""}])
    assert check(path).counts()["unreadable"] == 2


@pytest.mark.parametrize(("kind", "status"), [("any", 1), ("tiny", 1), ("blank", 0), (None, 0)])
def test_the_command_fails_on_what_it_is_told_to(sick: Path, kind: str | None, status: int, tiny_model: Path) -> None:
    asked = ["data", "check", str(sick), "--model", str(tiny_model), "--json", *(["--fail-on", kind] if kind else [])]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == status, result.output
    assert json.loads(result.stdout)["counts"]["tiny"] == 1


def test_the_command_writes_a_page_and_a_list(sick: Path, tiny_model: Path, tmp_path: Path) -> None:
    asked = ["data", "check", sick, "--model", tiny_model, "--out", tmp_path / "r", "--fix", tmp_path / "clean.csv"]
    result = CliRunner().invoke(app, list(map(str, asked)))
    assert result.exit_code == 0, result.output
    assert re.search(r"near duplicate +1\n", result.stdout)
    assert (tmp_path / "r" / "index.html").is_file()
    assert (tmp_path / "clean.csv").is_file()


def test_a_kind_that_there_is_not(sick: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(sick), "--fail-on", "tinny"])
    assert isinstance(result.exception, UnknownNameError)
    assert "Did you mean 'tiny'?" in str(result.exception)


@pytest.mark.slow
def test_real_galaxies_hold_known_duplicates(real_data: Path) -> None:
    found = check(real_data / "odd_native.parquet")
    assert 3 <= found.counts().get("near duplicate", 0) <= 20
    assert "unreadable" not in found.counts()


def test_an_empty_table_is_mentioned() -> None:
    Path("t.csv").write_text("id,file\n")
    with pytest.warns(PeculiarWarning, match=r"t\.csv holds no rows; there is nothing to check"):
        assert check("t.csv").findings == []


def test_two_columns_of_one_name_are_refused() -> None:
    pa.parquet.write_table(pa.table([["a"], [b"x"], [b"y"]], names=["id", "image", "image"]), "t.parquet")
    with pytest.raises(DataError, match="several columns have the name 'image'"):
        check("t.parquet")
