"""Cut-outs by coordinates, fetched from a service on this machine that misbehaves in the ways that services do."""

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from cutout_server import Service, draw, serve_cutouts
from peculiar.cli import app
from peculiar.errors import DownloadError, UnknownNameError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.sources import cutouts, open_source
from peculiar.sources.cutouts import INDEX, Fetched, fetch_cutouts
from peculiar.sources.get import get_cutouts
from peculiar.sources.http import Manners
from peculiar.sources.positions import Position, Positions
from peculiar.sources.surveys import SURVEYS, Frame, choose_frame, find_survey

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SDSS, LEGACY = find_survey("sdss"), find_survey("legacy")
FRAME = Frame(64, 0.4)
FAST = Manners(50.0, tries=3, timeout=5.0, backoff=0.01)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_cutouts() as running:
        yield running


def table(rows: list[tuple[object, object, object]], name: str = "positions.csv") -> Path:
    path = Path(name)
    path.write_text("id,ra,dec\n" + "".join(f"{id_},{ra},{dec}\n" for id_, ra, dec in rows), encoding="utf-8")
    return path


def some(count: int, name: str = "positions.csv") -> Path:
    """A table of positions g-0 at ra 0, g-1 at ra 1, and so on."""
    return table([(f"g-{row}", row, row / 10) for row in range(count)], name)


def fetch(service: Service, path: Path, out: str = "out", survey: Any = LEGACY, **options: Any) -> Fetched:
    options = {"manners": FAST, "address": service.url} | options
    return fetch_cutouts(Positions(path), out, survey, options.pop("frame", FRAME), **options)


def index(out: str = "out") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.parquet.read_table(Path(out) / INDEX).to_pylist()
    return rows


def files(out: str = "out") -> set[str]:
    return {path.relative_to(out).as_posix() for path in Path(out).rglob("*") if path.is_file()} - {".cutouts.lock"}


def check_whole(rows: list[dict[str, Any]], out: str = "out") -> None:
    """Every picture that the index lists is there, is what the service drew, and nothing else is."""
    whole = [row for row in rows if row["status"] == "whole"]
    for row in whole:
        content = (Path(out) / row["file"]).read_bytes()
        assert content == draw(row["ra"], row["dec"], FRAME.pixels)
        assert (row["bytes"], row["digest"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert files(out) == {row["file"] for row in whole} | {INDEX}


# What is fetched


def test_the_folder_is_a_source_that_keeps_ids_and_positions(service: Service) -> None:
    result = fetch(service, table([("NGC 1433", 55.5, -47.2), ("b", 10, 20)]))
    assert (result.rows, result.fetched, result.complete) == (2, 2, True)
    source = open_source("out")
    assert (source.kind, len(source), source.positioned, source.label) == ("table", 2, True, None)
    galaxies = list(source.galaxies())
    assert [(one.id, one.position) for one in galaxies] == [("NGC 1433", (55.5, -47.2)), ("b", (10.0, 20.0))]
    assert all(one.picture is not None for one in galaxies)
    check_whole(index())
    assert service.agents == {f"peculiar/{metadata.version('peculiar')} (galaxy cut-outs)"}


def test_the_index_says_where_from_and_whom_to_thank(service: Service) -> None:
    fetch(service, some(1))
    (row,) = index()
    assert row["url"] == f"{service.url}?ra=0.0000000&dec=0.0000000&layer=ls-dr10-grz&pixscale=0.4&size=64"
    schema = pa.parquet.read_schema(Path("out") / INDEX)
    assert schema.metadata[b"credit"].decode() == LEGACY.credit
    assert schema.field("ra").metadata == {
        b"description": b"right ascension of the middle, ICRS",
        b"unit": b"deg",
        b"ucd": b"pos.eq.ra;meta.main",
    }


def test_rows_without_a_picture_keep_their_place(service: Service) -> None:
    service.trick(1, "blank")
    service.trick(2, "404", "404")
    result = fetch(service, some(4))
    assert (result.fetched, result.outside, dict(result.failed)) == (2, 1, {"refused": 1})
    assert [(row["id"], row["status"], row["reason"]) for row in index()] == [
        ("g-0", "whole", None),
        ("g-1", "outside", "outside the survey"),
        ("g-2", "failed", "refused: 404 Not Found"),
        ("g-3", "whole", None),
    ]
    check_whole(index())
    assert [one.picture is None for one in open_source("out").galaxies()] == [False, True, True, False]


def test_the_index_is_in_the_order_of_the_table_whatever_takes_long(service: Service) -> None:
    service.trick(0, "500", "500")
    service.trick(3, "429:1")
    fetch(service, some(30), workers=8)
    assert [row["id"] for row in index()] == [f"g-{row}" for row in range(30)]


def test_no_rows(service: Service) -> None:
    result = fetch(service, some(0))
    assert (result.rows, result.complete, index()) == (0, True, [])
    assert len(open_source("out")) == 0


# Patience


@pytest.mark.parametrize(
    "trick",
    ["429", "429:0", "503", "503:1", "500", "502", "truncated", "endless", "html", "empty", "garbage", "drop"],
)
def test_what_goes_wrong_once_is_asked_again(trick: str, service: Service) -> None:
    service.trick(0, trick)
    result = fetch(service, some(1))
    assert (result.fetched, len(service.asked)) == (1, 2)
    check_whole(index())


@pytest.mark.parametrize(
    ("trick", "kind", "reason"),
    [
        ("429", "busy", "429 Too Many Requests"),
        ("503", "busy", "503 Service Unavailable"),
        ("500", "server error", "500 Internal Server Error"),
        ("truncated", "cut short", "the connection broke off (IncompleteRead("),
        ("drop", "cut short", "the connection broke off (RemoteDisconnected("),
        ("endless", "not a whole picture", "the JPEG lacks its end"),
        ("html", "not a whole picture", "it is not a JPEG (starts with b'<html><body>Sorry, t')"),
        ("empty", "not a whole picture", "it is empty"),
        ("garbage", "not a whole picture", "it is"),
        ("other_size", "not a whole picture", "it has 32 x 32 pixels, requested were 64 x 64"),
    ],
)
def test_what_stays_wrong_is_given_up_and_told(trick: str, kind: str, reason: str, service: Service) -> None:
    service.trick(0, *[trick] * 3)
    result = fetch(service, some(2))
    assert dict(result.failed) == {kind: 1}
    assert result.problems["g-0"].startswith(f"{kind}: {reason}")
    assert not result.complete
    assert (result.fetched, len(service.asked)) == (1, 4)
    check_whole(index())
    assert fetch(service, some(2)).as_dict() | {"seconds": 0} == {
        "out": "out", "rows": 2, "there": 1, "cached": 0, "fetched": 1, "outside": 0, "waiting": 0, "problems": {},
        "closed": None, "failed": {}, "seconds": 0,
    }  # fmt: skip


@pytest.mark.parametrize("trick", ["400", "403", "404", "410"])
def test_a_refusal_is_not_argued_with(trick: str, service: Service) -> None:
    service.trick(0, trick)
    result = fetch(service, some(1))
    assert (dict(result.failed), len(service.asked)) == ({"refused": 1}, 1)


def test_redirects_are_followed_within_reason(service: Service) -> None:
    service.trick(0, "away")
    service.trick(1, *["away"] * 20)
    service.trick(2, "away:ftp://127.0.0.1/x.jpg")
    service.trick(3, "away:file:///etc/passwd")
    result = fetch(service, some(4))
    assert (result.fetched, dict(result.failed)) == (1, {"redirects without end": 3})
    assert len(service.asked) < 12


@pytest.mark.parametrize("trick", ["slow", "drip"])
def test_a_slow_server_is_given_up(trick: str, service: Service) -> None:
    service.trick(0, trick, trick)
    result = fetch(service, some(2), manners=Manners(50.0, tries=2, timeout=0.3, backoff=0.01))
    assert dict(result.failed) == {"timed out": 1}
    assert result.problems == {"g-0": "timed out: no answer within 0.3 s"}


def test_nobody_listens(service: Service) -> None:
    with serve_cutouts() as gone:
        address = gone.url
    result = fetch(service, some(1), address=address)
    assert dict(result.failed) == {"no connection": 1}
    assert "refused" in result.problems["g-0"]


@pytest.mark.parametrize("trick", ["429:2", "503:2", "429:date"])
@pytest.mark.slow
def test_all_threads_leave_a_server_alone_for_as_long_as_it_asks(trick: str, service: Service) -> None:
    service.trick(2, trick)
    fetch(service, some(8), workers=4, manners=Manners(50.0, backoff=0.01))
    gaps = np.diff(sorted(service.times))
    # Of two seconds, since those that were on their way when it said so still arrive, on a busy machine late.
    assert gaps.max() >= 1
    assert len(service.asked) == 9


def test_a_server_that_asks_for_too_long_a_rest_is_asked_no_more(service: Service) -> None:
    service.always = "503:7200"
    result = fetch(service, some(50), workers=1)
    assert len(service.asked) == 1
    assert result.closed == "the service asks for a pause of 7,200 s (503 Service Unavailable)"
    assert (result.waiting, result.complete, index()[0]["reason"]) == (50, False, result.closed)


@pytest.mark.slow
def test_a_service_that_fails_throughout_is_asked_no_more(service: Service) -> None:
    service.always = "403"
    result = fetch(service, some(300), workers=2)
    assert len(service.asked) < 100
    assert re.match(r"\d+ positions in a row failed, the last with: refused: 403 Forbidden", str(result.closed))
    assert result.rows == 300 == result.waiting + result.failed.total()
    assert [row["status"] for row in index()].count("waiting") == result.waiting
    service.always = ""
    assert fetch(service, some(300)).fetched == 300


# Pace


@pytest.mark.parametrize("workers", [1, 8])
def test_the_rate_is_kept_by_all_threads_together(workers: int, service: Service) -> None:
    for ra in range(0, 20, 5):
        service.trick(ra, "500", "away")
    start = time.monotonic()
    fetch(service, some(20), workers=workers, manners=Manners(25.0, backoff=0.001))
    # However long a request is on its way, none can arrive before its turn.
    assert len(service.times) == 28
    assert (np.sort(service.times) >= start + np.arange(28) / 25.0).all()


def test_slow_answers_are_waited_for_side_by_side_where_there_are_workers(service: Service) -> None:
    service.delay = 0.2
    fetch(service, some(16), workers=8)
    assert service.at_once > 2


# Outside the survey


@pytest.mark.parametrize("grey", ["0", "32", "255"])
def test_a_picture_of_one_colour_is_outside(grey: str, service: Service) -> None:
    service.trick(0, f"blank:{grey}")
    assert fetch(service, some(1)).outside == 1
    assert index()[0]["file"] is None


@pytest.mark.parametrize("trick", ["404:{}", "words:{}", "500:{}"])
def test_what_sdss_says_of_a_position_that_it_does_not_have(trick: str, service: Service) -> None:
    service.trick(0, *[trick.format("Requested (ra, dec) is outside the SDSS footprint.")] * 3)
    assert fetch(service, some(1), survey=SDSS, frame=Frame(512, 0.4)).outside == 1


def test_outside_is_not_asked_again_either(service: Service) -> None:
    service.trick(0, "blank")
    fetch(service, some(1))
    again = fetch(service, some(1))
    assert (again.outside, len(service.asked)) == (1, 1)
    assert fetch(service, some(1), out="another").outside == 1
    assert len(service.asked) == 1


# Going on


def test_what_is_there_whole_is_not_fetched_again(service: Service) -> None:
    first = fetch(service, some(5))
    before = index()
    again = fetch(service, some(5))
    assert (first.fetched, again.there, again.fetched, len(service.asked)) == (5, 5, 0, 5)
    assert index() == before


def test_a_picture_that_was_spoilt_is_had_anew(service: Service) -> None:
    fetch(service, some(3))
    spoilt = Path("out") / index()[1]["file"]
    spoilt.write_bytes(spoilt.read_bytes()[:100])
    again = fetch(service, some(3))
    assert (again.there, again.cached, len(service.asked)) == (2, 1, 3)
    check_whole(index())


def test_the_cache_answers_for_another_folder(service: Service) -> None:
    fetch(service, some(5))
    again = fetch(service, some(8), out="another")
    assert (again.cached, again.fetched, len(service.asked)) == (5, 3, 8)
    check_whole(index("another"), "another")


def test_another_frame_is_another_picture(service: Service) -> None:
    fetch(service, some(1))
    other = fetch(service, some(1), out="another", frame=Frame(64, 0.5))
    assert (other.cached, other.fetched) == (0, 1)


def test_a_spoilt_cache_does_no_harm(service: Service) -> None:
    fetch(service, some(1))
    (kept,) = (cache_folder() / "cutouts").rglob("*.jpg")
    kept.write_bytes(b"\xff\xd8\xff half")
    assert fetch(service, some(1), out="another").fetched == 1
    check_whole(index("another"), "another")


def test_rows_may_be_added_and_moved(service: Service) -> None:
    fetch(service, table([("a", 1, 1), ("b", 2, 2)]))
    changed = table([("new", 3, 3), ("b", 2, 2), ("a", 5, 5)])
    with pytest.raises(UsageError, match=r"also lists 1 other position, not in this request.*--overwrite"):
        fetch(service, changed)
    again = fetch(service, changed, overwrite=True)
    assert (again.there, again.fetched) == (1, 2)  # a lies elsewhere now
    assert [row["id"] for row in index()] == ["new", "b", "a"]


def test_two_ids_at_one_position_ask_once_or_share(service: Service) -> None:
    rows = [(f"g-{row}", 7, 7) for row in range(12)]
    result = fetch(service, table(rows), workers=4)
    assert result.rows == 12
    assert result.fetched + result.cached == 12
    check_whole(index())


def test_stopping_leaves_an_index_of_what_is_there(service: Service) -> None:
    stop = threading.Event()
    done: list[int] = []

    def progress(count: int) -> None:
        done.append(count)
        if len(done) == 4:
            stop.set()

    result = fetch(service, some(40), stop=stop, progress=progress, workers=2)
    assert (result.rows, result.closed, result.failed.total()) == (40, None, 0)
    assert 0 < result.waiting < 40
    assert result.fetched + result.waiting == 40
    statuses = [row["status"] for row in index()]
    assert (statuses.count("whole"), statuses.count("waiting")) == (result.fetched, result.waiting)
    again = fetch(service, some(40))
    assert (again.there, again.fetched, len(service.asked)) == (result.fetched, result.waiting, 40)


PROGRAM = """
import sys
from peculiar.sources.http import Manners
from peculiar.sources.cutouts import fetch_cutouts
from peculiar.sources.positions import Positions
from peculiar.sources.surveys import Frame, find_survey
fetch_cutouts(Positions("positions.csv"), "out", find_survey("legacy"), Frame(64, 0.4), manners=Manners(50.0),
              address=sys.argv[1])
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_undisturbed(service: Service) -> None:
    path = some(60)
    fetch(service, path, out="undisturbed")
    expected = index("undisturbed")
    for kept in (cache_folder() / "cutouts").rglob("*.jpg"):
        kept.unlink()
    service.asked.clear()
    rng = np.random.default_rng(222)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, service.url])
        already = len(service.asked)
        while len(service.asked) < already + 5 and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for row in open_source("out").rows():  # at any moment the folder is a source with all rows
            assert row.position is not None
        for name in files() - {INDEX}:
            if not Path(name).name.startswith("."):
                with Image.open(Path("out") / name) as picture:
                    picture.load()
    half = Path("out/pictures/0000/.g-1.0123abcd-12345.part.jpg")
    half.write_bytes(b"half")
    result = fetch(service, path)
    assert result.complete
    assert index() == expected
    check_whole(index())
    # At a kill, what is under way may have been answered and not written yet.
    assert len(service.asked) <= 60 + 4 * 4


def test_a_full_disk_stops_the_run_and_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(service, some(2))
    path = some(30)

    def full(self: Path, content: bytes) -> int:
        if "pictures" in self.parts and "g-9" in self.name:
            raise OSError(28, "No space left on device", str(self))
        return real(self, content)

    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    before = index()
    with pytest.raises(OSError, match="No space left on device"):
        fetch(service, path)
    assert index() == before


# Names


@given(st.text(max_size=200), st.integers(0, 10**7))
def test_any_id_makes_a_harmless_name(id_: str, row: int) -> None:
    name = cutouts._file_name(Position(row, id_.encode("utf-8", "replace").decode(), 1.0, 2.0), "http://x/")
    assert re.fullmatch(r"pictures/\d{4,}/[A-Za-z0-9+][A-Za-z0-9+._-]*-[0-9a-f]{12}\.jpg", name)
    assert len(name) < 110


def test_ids_that_look_like_paths_stay_in_the_folder(service: Service) -> None:
    ids = ["../../escape", "/etc/passwd", "a/b", "NUL", ".hidden", "ngc 1", "NGC 1", "星系", "x" * 500]
    result = fetch(service, table([(id_, row, row) for row, id_ in enumerate(ids)]))
    assert result.fetched == len(ids)
    assert [row["id"] for row in index()] == ids
    check_whole(index())
    assert len({row["file"].lower() for row in index()}) == len(ids)


# Folders


def test_a_folder_of_something_else_is_refused(service: Service) -> None:
    Path("out").mkdir()
    Path("out/thesis.tex").touch()
    with pytest.raises(UsageError, match=r"out: holds something else \(thesis.tex\); choose a new or empty folder"):
        fetch(service, some(1))


def test_a_folder_of_another_survey_or_frame_is_refused(service: Service) -> None:
    fetch(service, some(1))
    with pytest.raises(
        UsageError, match="holds cut-outs with survey legacy, but this request has sdss; choose another folder"
    ):
        fetch(service, some(1), survey=SDSS)
    with pytest.raises(UsageError, match=r"with pixel scale 0\.4 arcsec, but this request has 0\.5 arcsec"):
        fetch(service, some(1), frame=Frame(64, 0.5))
    assert len(service.asked) == 1


def test_a_damaged_index_is_written_anew(service: Service) -> None:
    fetch(service, some(3))
    before = index()
    (Path("out") / INDEX).write_bytes(b"PAR1 no more")
    assert fetch(service, some(3)).there == 3
    assert index() == before


def test_two_runs_do_not_write_to_one_folder(service: Service) -> None:
    with cutouts._locked(Path("out")), pytest.raises(UsageError, match="out: another run writes to this folder"):
        fetch(service, some(1))


@pytest.mark.parametrize("which", ["out", "cache"])
def test_a_folder_that_cannot_be_written_to(
    which: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    if which == "cache":
        monkeypatch.setenv("PECULIAR_CACHE", str(tmp_path / "file" / "cache"))
    advice = "choose another folder" if which == "out" else "set PECULIAR_CACHE"
    with pytest.raises(DownloadError, match=rf"cannot be written to \(Not a directory\); {advice}"):
        fetch(service, some(1), out="file/out" if which == "out" else "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(service: Service) -> None:
    Path("out").mkdir(mode=0o500)
    with pytest.raises(DownloadError, match="out: cannot be written to; choose another folder"):
        fetch(service, some(1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "at least one request has to be under way, received workers=0"),
        ({"address": "skyserver.sdss.org"}, "begins with http:// or https://, received 'skyserver.sdss.org'"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], said: str, service: Service) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        fetch(service, some(1), **options)


# Surveys and frames


@pytest.mark.parametrize("survey", SURVEYS, ids=lambda survey: survey.name)
def test_every_survey_is_asked_for_what_was_meant(survey: Any, service: Service) -> None:
    frame = choose_frame(survey, pixels=80)
    result = fetch(service, some(2), survey=survey, frame=frame)
    assert result.fetched == 2
    with Image.open(Path("out") / index()[0]["file"]) as picture:
        assert picture.size == (80, 80)
    url = survey.url(12.5, -0.25, frame)
    assert url.startswith("https://")
    assert "{" not in url
    assert "ra=12.5000000&dec=-0.2500000" in url


def test_addresses() -> None:
    frame = Frame(100, 0.5)
    assert SDSS.url(1, 2, frame) == (
        "https://skyserver.sdss.org/dr18/SkyServerWS/ImgCutout/getjpeg"
        "?ra=1.0000000&dec=2.0000000&scale=0.5&width=100&height=100"
    )
    assert LEGACY.url(1, 2, frame) == (
        "https://www.legacysurvey.org/viewer/cutout.jpg"
        "?ra=1.0000000&dec=2.0000000&layer=ls-dr10-grz&pixscale=0.5&size=100"
    )
    assert find_survey("panstarrs").url(1, 2, frame) == (
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits?hips=CDS%2FP%2FPanSTARRS%2FDR1%2Fcolor-i-r-g"
        "&width=100&height=100&fov=0.01388889&ra=1.0000000&dec=2.0000000&projection=TAN&coordsys=icrs&format=jpg"
    )


@pytest.mark.parametrize(
    ("asked", "frame"),
    [
        ({}, Frame(256, 0.262)),
        ({"size_arcsec": 50}, Frame(191, 0.262)),
        ({"pixels": 128}, Frame(128, 0.262)),
        ({"pixel_scale": 0.5}, Frame(256, 0.5)),
        ({"size_arcsec": 64, "pixels": 128}, Frame(128, 0.5)),
        ({"size_arcsec": 64, "pixel_scale": 0.5}, Frame(128, 0.5)),
        ({"pixels": 128, "pixel_scale": 0.5}, Frame(128, 0.5)),
        ({"size_arcsec": 64.1, "pixels": 128, "pixel_scale": 0.5}, Frame(128, 0.5)),
    ],
)
def test_two_numbers_make_a_frame(asked: dict[str, Any], frame: Frame) -> None:
    assert choose_frame(LEGACY, **asked) == frame


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size_arcsec": 0}, "the size has to be above 0, received 0"),
        ({"pixels": -3}, "the number of pixels has to be above 0"),
        ({"pixel_scale": float("nan")}, "the pixel scale has to be above 0, received nan"),
        ({"size_arcsec": 60, "pixels": 128, "pixel_scale": 0.5}, "128 pixels of 0.5 arcsec make 64 arcsec, received a"),
        ({"size_arcsec": 200}, "a picture of 763 x 763 pixels was asked for (199.906 arcsec at 0.262 arcsec a pixel)"),
        ({"size_arcsec": 1}, "legacy gives 16 to 512: choose another number of pixels (--pixels)"),
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        choose_frame(LEGACY, **asked)


def test_an_unknown_survey() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no survey 'legcy'\. Did you mean 'legacy'"):
        find_survey("legcy")


def test_the_page_holds_the_fact_sheets() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cutouts.md").read_text(encoding="utf-8")
    for survey in SURVEYS:
        sheet = text.partition(f"### {survey.name}\n")[2].partition("\n### ")[0]
        scale, (least, most) = survey.pixel_scale, survey.pixels
        for fact in (
            f"| name | {survey.title} |",
            f"| address | `{survey.address}` |",
            f"| layer | {f'`{survey.layer}`' if survey.layer else 'none'} |",
            f"| red, green, blue | {survey.colours} |",
            f"| native scale | {scale} arcsec per pixel; 256 pixels are {256 * scale:.0f} arcsec |",
            f"| allowed side | {least} to {most} pixels |",
            f"| coverage | {survey.coverage} |",
            f"| default rate | {survey.rate:g} requests a second |",
            f"| credit | {survey.credit} |",
        ):
            assert fact in sheet


# The command


@pytest.fixture
def command(service: Service, monkeypatch: pytest.MonkeyPatch, peculiar_command: Any) -> Callable[..., Any]:
    monkeypatch.setenv("PECULIAR_CUTOUTS_URL", service.url)
    return partial(peculiar_command, "data", "get")


CUTOUTS = ("--survey", "legacy", "--catalog", "positions.csv", "--out", "out", "--pixels", 64, "--rate", 50)


def test_the_command_fetches_and_tells(command: Callable[..., Any], service: Service) -> None:
    some(6)
    service.trick(1, "blank")
    service.trick(2, "404")
    status, output, errors = command(*CUTOUTS)
    assert status == 1
    assert re.sub(r"[\d.]+ s", "T s", output) == (
        "6 positions in T s: 4 fetched, 1 outside the survey, 1 failed (refused 1)\n"
        f"The cut-outs are in out. {LEGACY.credit}\n"
    )
    assert errors == "g-2: refused: 404 Not Found\nThe same command continues with what is missing.\n"
    status, output, errors = command(*CUTOUTS)
    assert (status, errors) == (0, "")
    assert re.sub(r"[\d.]+ s", "T s", output).startswith(
        "6 positions in T s: 1 fetched, 4 there already, 1 outside the survey\n"
    )


def test_the_command_in_json(command: Callable[..., Any]) -> None:
    import json

    some(2)
    status, output, _ = command(*CUTOUTS, "--json")
    assert status == 0
    assert json.loads(output)["fetched"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interruption_leaves_everything_in_order(
    number: signal.Signals, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(100)
    monkeypatch.setenv("PECULIAR_CUTOUTS_URL", service.url)
    words = [*map(str, CUTOUTS[:-1]), "20"]
    program = [sys.executable, "-m", "peculiar", "data", "get", *words]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(service.asked) < 5:
        time.sleep(0.01)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == (
        "finishing running downloads; press Ctrl-C again to abort\nThe same command continues with what is missing.\n"
    )
    rows = index()
    fetched = sum(row["status"] == "whole" for row in rows)
    assert f"{fetched} fetched, {100 - fetched} waiting" in output
    assert len(rows) == 100
    assert 5 <= fetched < 100
    assert sum(not name.startswith(".") for name in files()) == fetched + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x"], "give either NAME (exercise, simulated or mock), or both --survey and --catalog"),
        (["simulated", "--survey", "sdss", "--catalog", "x.csv", "--out", "x"], "give either NAME"),
        (["--survey", "sdss", "--out", "x"], "give either NAME"),
        (["simulated", "--pixels", "64", "--out", "x"], "--pixel-scale and --rate are for cut-outs"),
        (["--survey", "sds", "--catalog", "x.csv", "--out", "x"], "there is no survey 'sds'. Did you mean 'sdss'?"),
        (["--survey", "sdss", "--catalog", "x.csv", "--out", "x"], "there is no file x.csv"),
        (["--survey", "sdss", "--catalog", "x.csv", "--out", "x", "--rate", "0"], "the rate has to be above 0"),
        (["--survey", "sdss", "--catalog", "x.csv", "--out", "x", "--pixels", "32"], "sdss gives 64 to 2048"),
    ],
)
def test_misuse_of_the_command(words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["data", "get", *words])
    assert said in str(result.exception)
    assert result.exception is not None
    assert getattr(result.exception, "exit_status", None) == 2
    assert not Path("x").exists()


def test_the_help_tells_the_surveys_and_their_rates() -> None:
    text = " ".join(CliRunner().invoke(app, ["data", "get", "--help"], env={"COLUMNS": "300"}).output.split())
    *others, last = [survey.name for survey in SURVEYS]
    assert f"{', '.join(others)} or {last}." in text
    assert "default: 2 for sdss, otherwise 5" in text
    assert {survey.rate for survey in SURVEYS if survey is not SDSS} == {5.0}
    assert SDSS.rate == 2.0


def test_the_pictures_of_the_test_service_are_pictures() -> None:
    with Image.open(io.BytesIO(draw(1, 2, 64))) as picture:
        assert picture.size == (64, 64)


def test_cut_outs_are_fetched_from_python(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PECULIAR_CUTOUTS_URL", service.url)
    found = get_cutouts(some(2), "out", survey="legacy", pixels=64, rate=50)
    assert (found.fetched, found.complete) == (2, True)
    assert "fetched" in capsys.readouterr().err
    assert get_cutouts(some(2), "out", survey="legacy", pixels=64, rate=50, verbose=False).there == 2
    assert capsys.readouterr() == ("", "")
