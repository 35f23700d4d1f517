"""Fixtures of several test modules: real galaxies if available, small fake ones everywhere."""

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pictures import draw_galaxy

# Before anything imports Keras, whose backend is chosen once.
os.environ.setdefault("KERAS_BACKEND", "torch")
# Before anything makes a console: messages are plain text, whatever the terminal that the tests run in.
os.environ["TTY_COMPATIBLE"] = "0"
# Tests run in as many processes as there are cores; more threads of matrix products would only spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs the tests in the background makes them ignore Ctrl-C, and the programs that they start, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from browser import Browser, browsing
from firefox import Firefox
from firefox import browsing as firefox_browsing
from labelling_server import Servers, serving
from peculiar import cli
from peculiar.images.decode import encode_picture
from peculiar.images.duplicates import Duplicate
from peculiar.questions.question import CLEAN5, FOUR_CLASS
from peculiar.sources.dataset import Dataset
from web_server import Published, serve

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real galaxies; skips where there is none."""
    folder = Path(os.environ.get("PECULIAR_DATA") or SHARED)
    if not (folder / "galaxydata.npz").is_file():
        pytest.skip(f"no real galaxies in {folder}; set PECULIAR_DATA to the folder that holds galaxydata.npz")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _pairs_are_compared_once() -> Iterator[None]:
    """Keep how pictures compare: many tests train on the same small surveys, whose galaxies are all alike."""
    from peculiar.images import duplicates

    compare, found = duplicates._lay_over, dict[bytes, Duplicate | None]()

    def remembered(portraits: NDArray[np.uint8], pair: NDArray[np.intp], *how: float | bool) -> Duplicate | None:
        key = hashlib.sha256(portraits[pair].tobytes() + repr(how).encode()).digest()
        if key not in found:
            found[key] = compare(portraits, pair, *how)  # type: ignore[arg-type]
        known = found[key]
        return None if known is None else replace(known, first=int(pair[0]), second=int(pair[1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_lay_over", remembered)
        yield


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate tests from the user's cache, data and working directory."""
    monkeypatch.setenv("PECULIAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PECULIAR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def fake_pictures() -> NDArray[np.uint8]:
    """Return forty pictures of noise, 128 x 128, each class a little brighter than the one before."""
    rng = np.random.default_rng(222)
    base = np.repeat(np.arange(4), 10) * 40
    noise = rng.integers(0, 60, (40, 128, 128, 3))
    return (noise + base[:, None, None, None]).astype(np.uint8)


@pytest.fixture(scope="session")
def fake_labels() -> NDArray[np.float32]:
    """Return one-hot labels of `fake_pictures`: ten galaxies of each of the four classes."""
    return np.eye(4, dtype=np.float32)[np.repeat(np.arange(4), 10)]


@pytest.fixture(scope="session")
def galaxies() -> Dataset:
    """Return forty pictures of 32 x 32, whose classes differ in brightness."""
    rng = np.random.default_rng(222)
    labels = np.repeat(np.arange(4), 10)
    pictures = (rng.integers(0, 40, (40, 32, 32, 3)) + labels[:, None, None, None] * 60).astype(np.uint8)
    return Dataset(FOUR_CLASS, [f"g{row}" for row in range(40)], pictures, labels, {})


@pytest.fixture
def fake_npz(tmp_path: Path, fake_pictures: NDArray[np.uint8], fake_labels: NDArray[np.float32]) -> Path:
    """`fake_pictures` and `fake_labels` in the exercise's layout."""
    path = tmp_path / "fake.npz"
    np.savez_compressed(path, data=fake_pictures, labels=fake_labels)
    return path


@pytest.fixture(scope="session")
def plain_pictures() -> list[bytes]:
    """Write six PNGs of 16 x 16, each of one grey: 0, 40 ... 200."""
    return [encode_picture(np.full((16, 16, 3), grey, dtype=np.uint8)) for grey in range(0, 240, 40)]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """A file that a web server of this machine publishes; needs the marker ``allow_hosts(["127.0.0.1"])``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as file:
        yield file


@pytest.fixture(scope="session")
def tiny_survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred drawn galaxies with labels of three questions, as Parquet; some lack an answer."""
    rows = []
    for number in range(100):
        kind, seed = number % 4, 1000 + number
        shape = draw_galaxy(64, 8 + 2 * kind, 32, 32, seed=seed, ratio=(1, 0.6, 0.25, 1)[kind])
        rows.append(
            {
                "id": f"sim-{number:03d}",
                "survey": "sdss" if number % 3 else "decals",
                "ra": 150 + number / 100,
                "dec": 2 - number / 100,
                "image": {"bytes": encode_picture(shape), "path": None},
                "four_class": FOUR_CLASS.answers[kind] if number % 2 else None,
                "four_class_basis": "weak_looks" if number % 6 == 1 else "votes",
                "clean5": CLEAN5.answers[kind],
                "gz2_argmax": ("odd", "not_odd", "smooth", "not_odd")[number // 4 % 4],
            }
        )
    path = tmp_path_factory.mktemp("survey") / "survey.parquet"
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path) -> Path:
    """The folder of a run that trained a tiny network on `tiny_survey`."""
    from peculiar.training.loop import train_network
    from peculiar.training.recipe import Recipe

    folder = tmp_path_factory.mktemp("runs") / "run"
    train_network([tiny_survey], folder, Recipe(width=8, size=32, epochs=2, batch_size=16, pretrained=False))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """The model file of `tiny_run`."""
    from peculiar.training.export import export

    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    export(tiny_run, path, credits=["Galaxy Zoo 2: Willett et al. 2013"], licence="CC-BY-4.0")
    return path


@pytest.fixture(scope="session")
def tiny_catalog(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path, tiny_model: Path) -> Path:
    """The catalogue that `tiny_model` makes of `tiny_survey`, with embeddings."""
    from peculiar.catalogs.predict import predict
    from peculiar.models.model_file import load_model
    from peculiar.sources import open_source

    path = tmp_path_factory.mktemp("catalogs") / "tiny.parquet"
    predict(open_source(tiny_survey), path, load_model(tiny_model), embeddings=True, views=1)
    return path


@pytest.fixture(scope="session")
def drawn_catalog(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path) -> Path:
    """A catalogue of `tiny_survey` with embeddings, drawn at random: for tests to which a model does not matter."""
    rng = np.random.default_rng(222)
    survey = pa.parquet.read_table(tiny_survey)
    odd = rng.random(len(survey)).astype(np.float32)
    vectors = rng.normal(size=(len(survey), 8)).astype(np.float32)
    columns = {name: survey[name] for name in ("id", "ra", "dec")} | {
        "p_not_odd": 1 - odd,
        "p_odd": odd,
        "entropy": -(odd * np.log(odd) + (1 - odd) * np.log(1 - odd)),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8),
    }
    path = tmp_path_factory.mktemp("catalogs") / "drawn.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_survey: Path) -> Path:
    """Make the folder that `surroundings` copies; ``runs/galaxy`` is a tiny network trained on ``training.parquet``."""
    from surroundings import furnish

    folder = tmp_path_factory.mktemp("furnished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PECULIAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.chdir(folder)
        furnish(folder)
    shutil.copytree(tiny_run, folder / "runs" / "galaxy")
    shutil.copy(tiny_survey, folder / "training.parquet")
    return folder


@pytest.fixture
def surroundings(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small fake galaxies of every kind, which is the present one; see `surroundings.furnish`."""
    folder = tmp_path / "surroundings"
    shutil.copytree(furnished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PECULIAR_DATA", str(folder))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return folder


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Start labelling servers on this machine; needs the marker ``allow_hosts(["127.0.0.1"])``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as started:
        yield started
        if "browser" in request.fixturenames:  # windows ask for pages to come, and would complain
            request.getfixturevalue("browser").close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; skips where there is none."""
    with browsing() as started:
        yield started


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser without windows, in which nothing may go wrong and which may ask this machine alone."""
    chromium.wrong, chromium.asked = [], set()
    yield chromium
    chromium.close()
    assert chromium.wrong == []
    assert {urlsplit(address).hostname for address in chromium.asked} <= {"127.0.0.1", None}, chromium.asked


@pytest.fixture
def peculiar_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line in this process; returns exit status, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["peculiar", *map(str, words)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def memory_store(monkeypatch: pytest.MonkeyPatch) -> Any:
    """fsspec's store in memory, empty; all its instances share their files and folders."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    monkeypatch.setattr(type(system), "store", {})
    monkeypatch.setattr(type(system), "pseudo_dirs", [""])
    return system


@pytest.fixture
def full_disk() -> Path:
    device = Path("/dev/full")
    if not device.is_char_device():
        pytest.skip("there is no /dev/full, which stands in for a full disk")
    return device


@pytest.fixture(scope="module")
def started_firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Firefox; skips where there is none."""
    with firefox_browsing(str(tmp_path_factory.mktemp("firefox") / "log")) as started:
        yield started


@pytest.fixture
def firefox(started_firefox: Firefox) -> Iterator[Firefox]:
    """Firefox, in which nothing may go wrong and which may ask this machine alone."""
    started_firefox.wrong()
    yield started_firefox
    assert {urlsplit(address).hostname for address in started_firefox.asked()} <= {"127.0.0.1", None}
    assert started_firefox.wrong() == []
    started_firefox.forget()
