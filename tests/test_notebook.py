"""Descriptions of returned objects in Python and notebooks: short, and safe for any content."""

import re
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from matplotlib.figure import Figure

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import Taught
from peculiar.checks.check import check
from peculiar.evaluation.evaluate import evaluate
from peculiar.exercise.filters import visualize_activations
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import TrainedNet
from peculiar.exercise.train import Trained
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.metrics.scores import evaluate as evaluate_probabilities
from peculiar.models.explain import explain
from peculiar.models.linear_head import fit_head
from peculiar.models.model_file import load_model
from peculiar.notebook import bar, card, escaped, in_notebook, show_inline, table, thumbnail
from peculiar.questions.question import FOUR_CLASS, Question
from peculiar.reports.plots import draw_history
from peculiar.sources import open_source
from peculiar.sources.dataset import Dataset, read_dataset
from peculiar.sources.split import split
from pictures import draw_galaxy
from spots import SpotFinder

HOSTILE = "<script>alert('x')</script>\n\x1b[31m"


class Tags(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.depth = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.depth += tag != "img"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.text += data


def check_html(page: str) -> Tags:
    """Check that there are only harmless, closed tags and no external addresses."""
    found = Tags(page)
    assert set(found.tags) <= {"div", "b", "table", "tr", "th", "td", "span", "img"}
    assert found.names <= {"style", "src", "width", "height", "alt", "title"}
    assert found.depth == 0
    assert "\x1b" not in page
    assert not re.search(r'src="(?!data:image/)', page)
    return found


def check_lines(text: str) -> None:
    assert 2 <= len(text.splitlines()) <= 10, text
    assert all(line.isprintable() for line in text.splitlines())


def test_a_catalogue_is_printed(tiny_catalog: Path, tiny_survey: Path) -> None:
    catalog = Catalog(tiny_catalog, pictures=tiny_survey)
    check_lines(repr(catalog))
    lines = repr(catalog).splitlines()
    assert lines[0] == f"Catalog: 100 galaxies, {tiny_catalog}"
    assert f"model: tiny {load_model_digest(tiny_catalog)}" in lines[-2]
    found = catalog.query("p_odd > 0.3", cone="150.5,1.5,1").similar(["sim-001"], top=9)
    check_lines(repr(found))
    assert repr(found).splitlines()[0] == f"Catalog: {len(found)} galaxies of 100, {tiny_catalog}"
    assert "  where: p_odd > 0.3" in repr(found).splitlines()
    page = check_html(found._repr_html_())
    assert page.tags.count("img") == min(8, len(found))
    assert found.ids[0] in page.text
    assert "score" in page.text
    assert f"and {len(found) - 8} more" in page.text


def load_model_digest(path: Path) -> str:
    return str(pa.parquet.read_table(path)["model"][0].as_py())


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    values = {"id": [HOSTILE, None], "class": [HOSTILE, "b"], f"p_{HOSTILE}": [0.5, None], "x": [float("nan"), 1.0]}
    table_ = pa.table(values).replace_schema_metadata(
        {"where": HOSTILE, "model digest": HOSTILE, "model name": HOSTILE}
    )
    pa.parquet.write_table(table_, tmp_path / "c.parquet")
    catalog = Catalog(tmp_path / "c.parquet")
    check_lines(repr(catalog))
    page = check_html(catalog._repr_html_())
    assert "<script>alert('x')</script>\\n\\x1b[31m" in page.text
    question = Question(HOSTILE, (HOSTILE, "other"))
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    dataset = Dataset(question, [HOSTILE, "b", "c"], pictures, np.array([0, 0, 1]), {HOSTILE: "broken"})
    check_lines(repr(dataset))
    assert check_html(dataset._repr_html_()).tags.count("img") == 3


def test_a_catalogue_that_is_gone_is_printed_all_the_same(tiny_catalog: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(tiny_catalog.read_bytes())
    catalog = Catalog(path)
    path.unlink()
    assert repr(catalog).startswith("Catalog that cannot be read: ")
    assert "cannot be read" in check_html(catalog._repr_html_()).text


def test_empty_and_bare_catalogues_are_printed(tiny_catalog: Path) -> None:
    empty = Catalog(tiny_catalog).query("p_odd > 2")
    check_lines(repr(empty))
    check_html(empty._repr_html_())
    bare = Catalog.of_rows(list(empty.columns.values())[:1], pa.table({"id": ["a"]}))
    assert repr(bare) == "Catalog: 1 galaxy, in memory\n  columns: id"


def test_pictures_of_what_was_classified_are_shown(tiny_model: Path) -> None:
    pictures = np.stack([draw_galaxy(48, 8, 24, 24, seed=seed) for seed in range(3)])
    catalog = predict(pictures, None, tiny_model, verbose=False)
    assert check_html(catalog._repr_html_()).tags.count("img") == 3


def test_an_assessment_is_printed(tiny_survey: Path, tiny_model: Path) -> None:
    found = evaluate(tiny_survey, tiny_model, label="clean5", verbose=False)
    check_lines(repr(found))
    assert (
        repr(found).splitlines()[0] == f"Assessment of {found.model} on {found.scores.count} galaxies, question clean5"
    )
    page = check_html(found._repr_html_())
    assert page.tags.count("table") == 3
    assert "true class" in page.text


def test_a_model_is_printed() -> None:
    model = load_model()
    check_lines(repr(model))
    assert "catalogues are about four_class: Normal, Ringed, Merger, Other" in repr(model)
    assert model.card.credits[0] in check_html(model._repr_html_()).text


def test_a_dataset_is_printed(tiny_survey: Path) -> None:
    dataset = read_dataset(open_source(tiny_survey, label="clean5"))
    check_lines(repr(dataset))
    assert repr(dataset).splitlines()[0] == "Dataset: 100 galaxies, pictures of 128 x 128 pixels"
    assert sum(dataset.counts().values()) == 100
    assert check_html(dataset._repr_html_()).tags.count("img") == 6 * sum(
        count >= 6 for count in dataset.counts().values()
    )


@pytest.mark.slow
def test_explanations_and_figures_are_shown() -> None:
    pictures = np.stack([draw_galaxy(48, 8, 24, 24, seed=seed) for seed in range(2)])
    found = explain(pictures, SpotFinder(), count=2, verbose=False)
    check_lines(repr(found))
    check_lines(repr(found[0]))
    history = [
        {"epoch": 1}
        | {f"{prefix}{name}": 0.5 for prefix in ("", "val_") for name in ("loss", "categorical_accuracy", "auc")}
    ]
    for shown in (found, found[0], found.show(), found[0].show(), draw_history(history)):
        assert shown._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook, in which this process seems to run, is asked to show."""
    shown: list[Any] = []
    ipython = types.ModuleType("IPython")
    ipython.version_info = (9, 0)  # type: ignore[attr-defined] # Matplotlib asks when it is imported
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    displays = types.ModuleType("IPython.display")
    displays.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return shown


def test_no_figure_is_shown_elsewhere() -> None:
    assert not in_notebook()
    assert not show_inline(Figure())


def test_a_figure_is_shown_below_the_cell_of_a_notebook(displayed: list[Any]) -> None:
    assert show_inline(figure := Figure())
    assert displayed == [figure]


@pytest.mark.slow
def test_what_filters_see_is_shown_and_printed_without_its_arrays(displayed: list[Any], galaxies: Dataset) -> None:
    net = TrainedNet(Network(classes=4, size=32), FOUR_CLASS, Framing(32))
    seen = visualize_activations(net, [(galaxies.pictures, galaxies.labels)], count=2)
    (sheet,) = displayed
    assert isinstance(sheet, Figure)
    assert sheet.axes
    assert re.fullmatch(
        r"Activation: predicted \w+, actual Normal; maps: conv2d 15 x 15 x 8, conv2d_1 3 x 3 x 8", repr(seen[0])
    )


def test_a_run_of_the_exercise_is_printed_without_its_arrays(galaxies: Dataset) -> None:
    net = TrainedNet(Network(classes=4, size=32), FOUR_CLASS, Framing(32))
    scores = evaluate_probabilities(galaxies.labels, net.probabilities(galaxies.pictures), FOUR_CLASS.answers)
    trained = Trained(Path("run"), net, [{"epoch": 1}], scores, galaxies, split(galaxies.labels))
    check_lines(repr(trained))
    assert repr(trained).splitlines()[0] == "Run run: 1 epoch, scored on 40 galaxies of the validation part"
    assert check_html(trained._repr_html_()).tags.count("table") == 3


def test_a_taught_model_is_printed_without_its_arrays() -> None:
    labels = np.arange(60) % 2
    embeddings = (np.random.default_rng(222).normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    head = fit_head(embeddings, labels, Question("shape", ("flat", "round")))
    taught = Taught(None, head, used=60, left_out=1, curve=None)
    assert repr(taught).splitlines() == [
        "Taught: shape, answers flat, round",
        "  labels: 60, and 1 left out",
        f"  cross-validated: balanced accuracy {head.scores.balanced_accuracy:.3f}",
    ]


def test_pieces_of_html() -> None:
    assert escaped('<a> & "b"\n') == "&lt;a&gt; &amp; &quot;b&quot;\\n"
    assert "width:100%" in bar(7, "much")
    assert "width:0%" in bar(-1, "<")
    assert "&lt;" in bar(-1, "<")
    assert check_html(card("<t>", [table(["<h>"], [[escaped("<c>")]])])).text == "<t><h><c>"
    assert thumbnail(encode_picture(np.zeros((4, 4, 3), np.uint8)), "a").startswith('<img src="data:image/png;base64,')


def test_a_check_is_printed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(encode_picture(draw_galaxy(48, 8, 24, 24)))
    found = check(tmp_path)
    assert repr(found) == f"Check of {tmp_path}: 2 galaxies\n  same file 1\n  skipped: neighbours, suspect label"
