"""The real galaxies: what their README says of them holds, and streaming them takes little memory."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar import load_galaxy_data
from peculiar.catalogs.predict import predict
from peculiar.images.decode import decode_picture
from peculiar.images.framing import Framing
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from peculiar.sources.npz import NpzSource


def test_the_exercise_s_file_has_its_shapes_and_class_counts(real_data: Path) -> None:
    data, labels = load_galaxy_data(real_data / "galaxydata.npz")
    assert (data.shape, data.dtype) == ((1400, 128, 128, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((1400, 4), np.float32)
    assert labels.sum(axis=0).tolist() == [487, 291, 371, 251]


def test_the_native_pictures_are_those_of_the_exercise(real_data: Path) -> None:
    exercise = open_source(real_data / "galaxydata.npz")
    native = open_source(real_data / "odd_native.parquet")
    assert isinstance(exercise, NpzSource)
    assert len(native) == len(exercise) == 1400
    assert native.labels() == exercise.labels()
    assert len({row.id for row in native.rows()}) == 1400
    pixels = exercise.pixels()
    rows = list(native.rows())
    sample = np.linspace(0, 1399, 20).astype(int)
    exact, fast = (
        np.stack([decode_picture(rows[row].content, Framing(128, crop=256, fast=fast)) for row in sample])
        for fast in (False, True)
    )
    # They were reduced by another program, whose interpolation is a little different.
    assert np.abs(exact.astype(int) - pixels[sample]).mean() < 1.0
    assert np.abs(fast.astype(int) - exact).mean() < 1.0


def test_the_stamps_have_the_stated_classes(real_data: Path) -> None:
    source = open_source(real_data / "stamps", label="clean5")
    assert len(source) == 31_683
    assert Counter(source.labels()) == {
        "round": 7509,
        "in_between": 7208,
        "spiral": 6976,
        "edge_on": 3485,
        "cigar": 520,
        None: 31_683 - 25_698,
    }


@pytest.mark.slow
def test_streaming_all_stamps_takes_little_memory(real_data: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of a process's memory is read from /proc")
    # Not from getrusage, in which a process inherits the peak of the one that started it.
    program = """
import sys
from pathlib import Path
from peculiar.images.framing import Framing
from peculiar.sources import open_source
stream = open_source(sys.argv[1]).galaxies(Framing(64, fast=True))
read = sum(galaxy.picture is not None for galaxy in stream)
print(read, Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
    command = [sys.executable, "-c", program, str(real_data / "stamps")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, kilobytes = map(int, done.stdout.split())
    assert read == 31_683
    assert kilobytes < 1_000_000


@pytest.mark.slow
def test_pictures_from_python_are_answered_as_by_the_command(real_data: Path, tmp_path: Path) -> None:
    """`classify` frames pictures as `predict` does, and the class that is called is in its set."""
    model = load_model()
    predict(open_source(real_data / "galaxydata.npz"), tmp_path / "c.parquet", model)
    table = pa.parquet.read_table(tmp_path / "c.parquet")
    data, _ = load_galaxy_data(real_data / "galaxydata.npz")
    answers = model.classify(data[:300] / 255).probabilities["four_class"]
    columns = ("p_normal", "p_ringed", "p_merger", "p_other")
    found = np.stack([table[name].to_numpy()[:300] for name in columns], axis=1)
    np.testing.assert_allclose(answers, found, atol=1e-5)
    assert len(table) == 1400
    for called, inside in zip(table["class"].to_pylist(), table["set_90"].to_pylist(), strict=True):
        assert called in inside.split("|")
