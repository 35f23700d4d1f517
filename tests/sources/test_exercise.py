"""Where `load_galaxy_data` finds the exercise's galaxies, in which order."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from peculiar.errors import DataError, DownloadError, NotFoundError, SimulatedDataWarning
from peculiar.files.cache import cache_folder
from peculiar.sources import exercise, load_galaxy_data
from peculiar.sources.exercise import copy_galaxy_data, find_galaxy_data
from web_server import Published

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(autouse=True)
def server(published: Published, fake_npz: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """Publishes `fake_npz` where the exercise's galaxies are looked for."""
    published.content = fake_npz.read_bytes()
    monkeypatch.setattr(exercise, "URL", published.url)
    monkeypatch.setattr(exercise, "COUNT", 8)
    return published


def marked(path: Path, mark: int) -> Path:
    """Write two galaxies whose pixels tell where they come from."""
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, data=np.full((2, 128, 128, 3), mark, np.uint8), labels=np.eye(4, dtype=int)[[1, 3]])
    return path


def mark() -> int:
    return int(load_galaxy_data()[0][0, 0, 0, 0])


def test_data_and_labels_are_those_of_the_file(fake_npz: Path, server: Published) -> None:
    data, labels = load_galaxy_data(fake_npz)
    with np.load(fake_npz) as file:
        np.testing.assert_array_equal(data, file["data"])
        np.testing.assert_array_equal(labels, file["labels"])
    assert (data.dtype, labels.dtype) == (np.uint8, np.float32)
    assert server.asked == []


def test_labels_become_float32(tmp_path: Path) -> None:
    assert load_galaxy_data(marked(tmp_path / "own.npz", 1))[1].dtype == np.float32


def test_the_argument_goes_before_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(tmp_path / "folder" / "galaxydata.npz", 2)
    monkeypatch.setenv("PECULIAR_DATA", str(tmp_path / "folder"))
    assert load_galaxy_data(marked(tmp_path / "own.npz", 1))[0].max() == 1


def test_the_named_folder_goes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(tmp_path / "folder" / "galaxydata.npz", 2)
    marked(cache_folder() / "galaxydata.npz", 3)
    assert mark() == 3
    monkeypatch.setenv("PECULIAR_DATA", str(tmp_path / "folder"))
    assert mark() == 2


def test_a_named_folder_without_the_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(cache_folder() / "galaxydata.npz", 3)
    monkeypatch.setenv("PECULIAR_DATA", str(tmp_path / "empty"))
    assert mark() == 3


def test_the_cache_goes_before_the_download(server: Published) -> None:
    marked(cache_folder() / "galaxydata.npz", 3)
    assert mark() == 3
    assert server.asked == []


def test_the_published_file_is_fetched_once_and_checked(server: Published, fake_npz: Path) -> None:
    for _ in range(2):
        np.testing.assert_array_equal(load_galaxy_data()[0], load_galaxy_data(fake_npz)[0])
    assert len(server.asked) == 1
    assert (cache_folder() / "galaxydata.npz").read_bytes() == fake_npz.read_bytes()


def test_the_log_says_where_the_galaxies_came_from(fake_npz: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "peculiar"):
        load_galaxy_data(fake_npz)
    assert caplog.messages == [f"galaxies from {fake_npz}"]


def test_simulated_galaxies_stand_in_with_a_warning(server: Published) -> None:
    server.status = 404
    with pytest.warns(SimulatedDataWarning) as caught:
        data, labels = load_galaxy_data()
    assert (data.shape, data.dtype) == ((8, 128, 128, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((8, 4), np.float32)
    assert caught[0].filename == __file__
    message = str(caught[0].message)
    assert "the server answered 404 Not Found" in message
    assert "these are 8 simulated ones; scores on them say nothing about the sky" in message
    assert "set PECULIAR_DATA" in message
    assert not (cache_folder() / "galaxydata.npz").exists()


def test_a_download_of_something_else_is_not_kept(server: Published) -> None:
    server.content = b"<html>Please log in</html>"
    with pytest.warns(SimulatedDataWarning, match="is not the expected file: .*cannot be read as NPZ"):
        load_galaxy_data()
    assert not (cache_folder() / "galaxydata.npz").exists()


def test_the_download_itself_raises_where_no_stand_in_is_wanted(server: Published) -> None:
    server.status = 503
    with pytest.raises(DownloadError, match="the server answered 503"):
        find_galaxy_data()


def test_a_wrong_path_is_an_error_not_a_simulation(tmp_path: Path, server: Published) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(NotFoundError, match=f"there is no file {path}; leave the argument out"):
            load_galaxy_data(path)
    assert server.asked == []


@pytest.mark.parametrize(("side", "classes"), [(64, 4), (128, 3)])
def test_another_layout_is_refused(side: int, classes: int, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, data=np.zeros((3, side, side, 3), np.uint8), labels=np.eye(classes)[[0, 1, 2]])
    with pytest.raises(
        DataError, match=rf"own\.npz: the exercise needs .* received data \(3, {side}, .*\(3, {classes}\)"
    ):
        load_galaxy_data(path)


def test_a_spoilt_cache_is_named(fake_npz: Path) -> None:
    shutil.copyfile(fake_npz, cached := marked(cache_folder() / "galaxydata.npz", 3))
    cached.write_bytes(cached.read_bytes()[:-500])
    with pytest.raises(DataError, match=f"{cached}: cannot be read as NPZ"):
        load_galaxy_data()


def test_the_file_can_be_copied(tmp_path: Path, fake_npz: Path) -> None:
    copy_galaxy_data(tmp_path / "new" / "mine.npz")
    assert (tmp_path / "new" / "mine.npz").read_bytes() == fake_npz.read_bytes()
