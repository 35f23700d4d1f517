"""Known galaxies: listed by services on this machine, which misbehave, and by tables."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy import units
from astropy.coordinates import Angle, Latitude, Longitude, SkyCoord
from astropy.table import Table

from peculiar.catalogs import known as module
from peculiar.catalogs.known import Known, known
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.sources.http import Manners
from peculiar.tables.convert import convert
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader
from tap_server import Service, serve_tap, sky

asks = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    pytest.importorskip("pyvo", reason="pyvo is not installed: pip install 'peculiar[known]'")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_tap() as running:
        monkeypatch.setenv("PECULIAR_TAP_URL", running.url)
        running.objects = sky(400)
        yield running


def candidates(objects: Table, path: str = "candidates.parquet", *, nowhere: int = 10, seed: int = 5) -> Path:
    """Write positions within 4 arcsec of objects, and some that nobody lists."""
    random = np.random.default_rng(seed)
    places = SkyCoord(objects["ra"], objects["dec"], unit="deg").directional_offset_by(
        random.random(len(objects)) * 360 * units.deg, random.random(len(objects)) * 4 / 3600 * units.deg
    )
    ra = [*places.ra.deg, *(360 * random.random(nowhere))]
    dec = [*places.dec.deg, *np.full(nowhere, 89.9)]
    table = pa.table({"id": np.arange(len(ra)) + 10**15, "ra": ra, "dec": dec})
    pa.parquet.write_table(table, path)
    return Path(path)


def quick(catalog: Path, **options: Any) -> Known:
    return known(catalog, **({"rate": 50.0, "verbose": False} | options))


def check_as_astropy(found: Known, objects: Table, name: str) -> None:
    """The nearest objects and their separations are those that astropy finds."""
    places = SkyCoord(found.ra, found.dec, unit="deg")
    nearest, angle, _ = places.match_to_catalog_sky(SkyCoord(objects["ra"], objects["dec"], unit="deg"))
    inside = angle.arcsec <= found.radius
    listing = found.listings[name]
    assert listing.listed.tolist() == inside.tolist()
    ids = [str(objects["id"][row]) if there else None for row, there in zip(nearest, inside, strict=True)]
    assert listing.objects["id"].to_pylist() == ids
    theirs = SkyCoord(objects["ra"], objects["dec"], unit="deg")[nearest]
    assert listing.separation[inside] == pytest.approx(places.separation(theirs).arcsec[inside], rel=1e-12)


# Services


@asks
def test_services_are_asked_about_every_galaxy(service: Service) -> None:
    found = quick(candidates(service.objects[:300]), services=["simbad", "ned", "vizier"])
    assert list(found.listings) == ["simbad", "ned", "vizier"]
    for name in found.listings:
        check_as_astropy(found, service.objects, name)
    assert (int(found.listed.sum()), int(found.unknown.sum()), found.complete) == (300, 10, True)
    assert found.lines() == [
        "SIMBAD lists 300 of 310 galaxies",
        "NED lists 300 of 310 galaxies",
        "VizieR VII/237/pgc lists 300 of 310 galaxies",
        "nobody lists 10 within 5 arcsec",
    ]
    # One upload of 310 positions to SIMBAD, four lists of 100 for NED, columns and one upload for VizieR.
    assert len(service.queries) == 1 + 4 + 2
    assert service.at_once == 1


@asks
def test_simbad_and_ned_are_asked_by_default(service: Service) -> None:
    assert list(quick(candidates(service.objects[:3])).listings) == ["simbad", "ned"]


@asks
def test_the_table_has_a_row_for_each_galaxy(service: Service) -> None:
    found = quick(candidates(service.objects[:20]), services=["simbad", "ned"])
    assert found.write("known.parquet") == 30
    table = pa.parquet.read_table("known.parquet")
    roles = ["id", "separation", "type", "redshift", "references"]
    columns = [f"simbad_{role}" for role in roles] + [f"ned_{role}" for role in roles[:4]]
    assert table.column_names == ["id", "ra", "dec", "known", *columns]
    assert table.schema.field("id").type == pa.int64()
    assert table["known"].to_pylist() == [True] * 20 + [False] * 10
    assert table["simbad_id"].to_pylist()[:2] == ["object 0", "object 1"]
    assert table["simbad_references"].to_pylist()[:3] == ["0", "1", "2"]
    assert table["ned_redshift"].null_count == 10 + service.objects["redshift"][:20].mask.sum()
    assert table.schema.field("simbad_separation").metadata[b"unit"] == b"arcsec"
    assert table["simbad_separation"].null_count == 10
    assert b"SIMBAD database" in table.schema.metadata[b"credit"]
    assert found.write("unknown.csv", unknown=True) == 10
    assert TableReader("unknown.csv").column("id") == [str(10**15 + row) for row in range(20, 30)]
    for name in ("known.fits", "known.vot", "known.ecsv"):
        assert found.write(name) == 30


PROGRAM = """
import functools
from peculiar.catalogs import known as module

module._TIMEOUT = 1.0
module.Manners = functools.partial(module.Manners, backoff=0.05)
found = module.known("candidates.parquet", services=["simbad", "ned"], rate=50, verbose=False)
found.write("known.parquet")
print("done")
"""


@asks
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_many_positions_a_killed_run_and_a_bad_day_of_the_service(service: Service, count: int) -> None:
    service.objects = sky(count)
    path = candidates(service.objects[: count - 500], nowhere=500)
    service.tricks.extend(["answer"] * 3 + ["429:1", "half", "answer", "503", "columns", "answer", "slow", "html"])
    queries = count // 500 + count // 100
    service.enough = queries // 2
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert service.reached.wait(120)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not Path("known.parquet").exists()
    asked = Counter(service.positions)
    before = len(service.queries)
    service.tricks.clear()  # those of the killed run, if it was too fast for all
    service.tricks.extend(["429:1", "wrong", "answer", "500", "words", "answer", "cut", "drop"])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    # Of the first run six failed, of the second as many, and the one under way at the kill was asked again.
    assert queries <= len(service.queries) <= queries + 6 + 6 + 2
    assert len(service.queries) - before <= queries - (service.enough - 8) + 7
    assert service.at_once <= 2  # with the one that the client gave up
    assert all(count <= 4 for count in asked.values())
    times = np.diff(service.times)
    assert (times[times < 10] > 0.015).all()
    after = len(service.queries)
    found = quick(path)
    assert (len(service.queries), found.complete) == (after, True)
    for name in ("simbad", "ned"):
        check_as_astropy(found, service.objects, name)
    assert int(found.unknown.sum()) == 500
    assert pa.parquet.read_table("known.parquet")["known"].to_pylist() == [True] * (count - 500) + [False] * 500


@asks
def test_what_a_service_does_not_answer_is_neither_known_nor_unknown(
    service: Service, monkeypatch: pytest.MonkeyPatch, peculiar_command: Any
) -> None:
    path = candidates(service.objects[:250], nowhere=50)
    service.tricks.extend(["404", "answer", "404"])
    words = ("known", path, "--service", "ned", "--rate", "50")
    status, said, told = peculiar_command(*words)
    assert status == 1
    assert "of 300 galaxies; 200 still to be asked about" in said
    assert "NED: refused: 404 Not Found" in told
    assert "The same command continues with what is missing." in told
    table = pa.parquet.read_table("known.parquet")
    assert table["known"].null_count == 200
    service.tricks.clear()
    status, said, told = peculiar_command(*words)
    assert (status, told) == (0, "")
    assert "NED lists 250 of 300 galaxies" in said
    assert len(service.queries) == 3 + 2


@asks
def test_a_service_that_fails_is_not_asked_for_ever(service: Service, peculiar_command: Any) -> None:
    path = candidates(service.objects[:390], nowhere=210)
    service.always = "404"
    status, _, told = peculiar_command("known", path, "--service", "ned", "--rate", "50", "--json")
    assert status == 1
    assert "NED: 3 queries in a row failed, the last with refused: 404 Not Found" in told
    assert len(service.queries) == 3
    service.always = "query:table basic is away"
    found = quick(path, services=["simbad"])
    assert not found.complete
    assert found.failed
    assert "table basic is away" in found.listings["simbad"].problem
    assert found.as_dict()["listings"]["simbad"]["waiting"] == 600


@asks
def test_an_unreachable_service_is_told(
    monkeypatch: pytest.MonkeyPatch, service: Service, peculiar_command: Any
) -> None:
    monkeypatch.setenv("PECULIAR_TAP_URL", "http://127.0.0.1:9/tap")
    monkeypatch.setattr(module, "Manners", lambda rate, timeout: Manners(50.0, tries=2, timeout=1.0, backoff=0.01))
    status, said, told = peculiar_command("known", candidates(service.objects[:3]), "--service", "vizier")
    assert status == 1
    assert "VizieR VII/237/pgc: no connection: " in told
    assert "13 still to be asked about" in said


@asks
def test_a_stopped_run_keeps_what_it_has(service: Service) -> None:
    stop = threading.Event()
    found = quick(candidates(service.objects[:290]), services=["ned"], stop=stop, progress=lambda done: stop.set())
    assert found.listings["ned"].asked.sum() == 100
    assert (found.complete, found.failed, found.listings["ned"].problem) == (False, False, "stopped")
    assert quick(Path("candidates.parquet"), services=["ned"]).complete
    assert len(service.queries) == 3


@asks
def test_a_json_of_the_figures(service: Service, peculiar_command: Any) -> None:
    path = candidates(service.objects[:20])
    status, said, told = peculiar_command("known", path, "--service", "simbad", "--unknown", "--json", "--rate", "50")
    figures = json.loads(said)
    assert (status, told, figures["rows"], figures["listed"], figures["unknown"]) == (0, "", 10, 20, 10)
    assert len(TableReader("known.parquet")) == 10


# Tables


@pytest.fixture
def objects() -> Table:
    return sky(400)


def rows_of(table: Table) -> list[dict[str, Any]]:
    rows = zip(*(table[name].tolist() for name in table.colnames), strict=True)
    return [dict(zip(table.colnames, row, strict=True)) for row in rows]


@pytest.mark.parametrize("suffix", ["fits", "vot", "csv", "parquet", "hats"])
def test_tables_of_every_kind_are_compared(objects: Table, suffix: str) -> None:
    names = ("RAJ2000", "DEJ2000", "name", "otype", "z", "bibcode")
    table = Table({name: objects[role] for role, name in zip(objects.colnames, names, strict=True)})
    table["bibcode"] = [f"2020A&A...{number:03d}" for number in range(400)]
    reference = Path(f"known objects.{'parquet' if suffix == 'hats' else suffix}")
    if reference.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows_of(table)), reference)
    else:
        table.write(reference, format={"vot": "votable", "csv": "ascii.csv"}.get(suffix, suffix))
    if suffix == "hats":
        convert(reference, "published", as_hats=True)
        reference = Path("published")
    found = known(candidates(objects[:300]), tables=[reference], verbose=False)
    (name,) = found.listings
    assert name == ("published" if suffix == "hats" else "known_objects")
    check_as_astropy(found, objects, name)
    assert found.listings[name].objects["type"].to_pylist()[:3] == ["G", "QSO", "*"]
    assert found.listings[name].objects["references"].to_pylist()[2] == "2020A&A...002"
    redshifts = found.listings[name].objects["redshift"].to_pylist()
    assert redshifts[:300] == [None if one is np.ma.masked else pytest.approx(one) for one in objects["redshift"][:300]]


def test_tables_of_one_name_keep_apart_and_objects_without_ids_are_numbered(objects: Table) -> None:
    for folder, some in (("a", objects[:100]), ("b", objects[50:150])):
        Path(folder).mkdir()
        some["ra", "dec"].write(f"{folder}/list.csv", format="ascii.csv")
    found = known(candidates(objects[:200]), tables=["a/list.csv", "b/list.csv"], verbose=False)
    assert list(found.listings) == ["list", "list_2"]
    assert (int(found.listed.sum()), int(found.unknown.sum())) == (150, 60)
    assert found.listings["list_2"].objects["id"].to_pylist()[50] == "list-0"
    found.write("known.csv")
    assert TableReader("known.csv").columns == (
        "id",
        "ra",
        "dec",
        "known",
        "list_id",
        "list_separation",
        "list_2_id",
        "list_2_separation",
    )


@pytest.fixture
def halves() -> dict[str, str]:
    """Footprints of the northern and the southern sky, by the name of the hemisphere."""
    mocpy = pytest.importorskip("mocpy", reason="mocpy is not installed: pip install 'peculiar[known]'")
    files = {"north": "north.fits", "south": "south.json"}
    for file, pole in zip(files.values(), ("90d", "-90d"), strict=True):
        cap = mocpy.MOC.from_cone(lon=Longitude("0d"), lat=Latitude(pole), radius=Angle("89d"), max_depth=9)
        cap.save(file, format=file.partition(".")[2])
    return {name: str(Path(file).absolute()) for name, file in files.items()}


@pytest.mark.parametrize(
    ("footprints", "known_", "unknown", "unobserved"),
    [
        ((), [True, False, False, False], 3, 0),
        (("north",), [True, False, False, False], 3, 0),  # the other table may have observed everything
        (("north", "south"), [True, False, False, None], 2, 1),  # the last lies between the two
    ],
)
def test_what_no_footprint_contains_is_not_unknown(
    footprints: tuple[str, ...],
    known_: list[bool | None],
    unknown: int,
    unobserved: int,
    halves: dict[str, str],
    peculiar_command: Any,
) -> None:
    Path("candidates.csv").write_text("id,ra,dec\n1,10,40\n2,20,40\n3,20,-40\n4,20,0\n")
    for name in ("north", "south"):
        Path(f"{name}.csv").write_text("id,ra,dec\n7,10,40\n")
    options = [word for name in footprints for word in ("--footprint", f"{name}={halves[name]}")]
    words = ("known", "candidates.csv", "--table", "north.csv", "--table", "south.csv", *options)
    status, told, said = peculiar_command(*words, "--out", "known.parquet", "--json")
    assert status == 0, said
    found = json.loads(told)
    assert (found["unknown"], found["unobserved"]) == (unknown, unobserved)
    table = pa.parquet.read_table("known.parquet")
    assert table["known"].to_pylist() == known_
    assert [name for name in table.column_names if name.endswith("_observed")] == [
        f"{one}_observed" for one in footprints
    ]
    if footprints:
        assert table["north_observed"].to_pylist() == [True, True, False, False]
    status, told, _ = peculiar_command(*words, "--out", "unknown.csv", "--unknown")
    assert ("outside all footprints" in told) == (unobserved > 0)
    assert len(TableReader("unknown.csv")) == unknown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("west=north.fits", "no service or table 'west' to have a footprint."),
        ("list=nothing.fits", "no footprint at nothing.fits"),
        ("list=list.csv", "list.csv: is not a footprint"),
        ("north.fits", "a footprint is the name of a service or table and a file"),
        ("=north.fits", "a footprint is the name of a service or table and a file"),
    ],
)
def test_wrong_footprints_are_told(given: str, message: str, halves: dict[str, str], peculiar_command: Any) -> None:
    Path("list.csv").write_text("id,ra,dec\n7,10,40\n")
    words = ("known", "list.csv", "--table", "list.csv", "--footprint", given, "--out", "x.csv")
    status, told, said = peculiar_command(*words)
    assert (status, message in " ".join((told + said).split())) == (2 if "is not a" not in message else 1, True), said
    assert not Path("x.csv").exists()


def test_the_radius_decides(objects: Table) -> None:
    path = candidates(objects[:300])
    objects.write("list.csv", format="ascii.csv")
    counts = [int(known(path, tables=["list.csv"], radius=radius, verbose=False).listed.sum()) for radius in (1, 2, 4)]
    assert 0 < counts[0] < counts[1] < counts[2] == 300


# Bad input


def test_bad_input_is_told(objects: Table, peculiar_command: Any) -> None:
    objects.write("list.csv", format="ascii.csv")
    path = candidates(objects[:5])
    pa.parquet.write_table(pa.table({"id": ["a"], "p_odd": [0.5]}), "nowhere.parquet")
    pa.parquet.write_table(
        pa.table(
            {"id": pa.array([], pa.string()), "ra": pa.array([], pa.float64()), "dec": pa.array([], pa.float64())}
        ),
        "empty.parquet",
    )
    pa.parquet.write_table(pa.table({"id": ["a", "b"], "ra": [1.0, None], "dec": [1.0, 2.0]}), "gap.parquet")
    pa.parquet.write_table(pa.table({"id": ["a"], "p_odd": [0.5]}), "no positions.parquet")
    with pytest.raises(UnknownNameError, match=r"no column 'ra' in nowhere.parquet.*--ra COLUMN"):
        known("nowhere.parquet", tables=["list.csv"])
    with pytest.raises(UnknownNameError, match=r"no column 'ra' in no positions.parquet"):
        known(path, tables=["no positions.parquet"])
    with pytest.raises(UsageError, match="has no rows, so there is nothing to look for"):
        known("empty.parquet", tables=["list.csv"])
    with pytest.raises(DataError, match=r"row 1 \(b\): ra is empty"):
        known("gap.parquet", tables=["list.csv"])
    with pytest.raises(NotFoundError):
        known("nothing.parquet", tables=["list.csv"])
    with pytest.raises(NotFoundError):
        known(path, tables=["nothing.csv"])
    with pytest.raises(UsageError, match="name a service or a table"):
        known(path, services=[])
    for radius in (0, -1, 4000, float("nan")):
        with pytest.raises(UsageError, match="at most 3600 arcsec"):
            known(path, tables=["list.csv"], radius=radius)
    for words, told in (
        (("--service", "simbda"), "Did you mean 'simbad'"),
        (("--service", "ned", "--rate", "1000"), "has to be above 0 and at most 50"),
        (("--table", "list.csv", "--out", "known.txt"), "received the suffix '.txt'"),
        (("--table", "list.csv", "--out", "list.csv", "--overwrite"), "is the input of this command"),
    ):
        status, _, said = peculiar_command("known", path, *words)
        assert (status, told in said) == (2, True), said


def test_a_catalogue_without_ids_has_its_rows_numbered(objects: Table) -> None:
    objects["ra", "dec", "type"][:5].write("nameless.csv", format="ascii.csv")
    objects.write("list.csv", format="ascii.csv")
    with pytest.warns(PeculiarWarning, match="no column of ids was recognised, so rows are numbered"):
        found = known("nameless.csv", tables=["list.csv"], verbose=False)
    assert found.ids == [f"nameless-{row}" for row in range(5)]
    assert found.listed.all()


def test_services_need_pyvo(objects: Table) -> None:
    path = candidates(objects[:5])
    program = (
        f"import sys; sys.modules['pyvo'] = None\nimport peculiar\npeculiar.known({str(path)!r}, services=['ned'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert "asking services about known objects needs packages" in done.stderr
    assert "pip install 'peculiar[known]'" in done.stderr


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()], ids=str)
@pytest.mark.parametrize("suffix", ["parquet", "fits", "vot", "ecsv"])
def test_ids_of_the_catalogue_and_of_a_table_keep_their_type(tmp_path: Path, kind: pa.DataType, suffix: str) -> None:
    last = 2**64 - 1 if kind == pa.uint64() else 2**63 - 1
    exact = [str(last - number) for number in range(4)]
    ids = pa.array(exact, pa.string()).cast(kind)
    pa.parquet.write_table(pa.table({"id": ids, "ra": [1.0, 2, 3, 4], "dec": [0.0] * 4}), tmp_path / "own.parquet")
    others = pa.table({"objid": ids, "ra": [1.0, 2, 3, 9], "dec": [0.0] * 4})
    pa.parquet.write_table(others, tmp_path / "others.parquet")
    quick(tmp_path / "own.parquet", tables=[tmp_path / "others.parquet"]).write(tmp_path / f"known.{suffix}")
    reader = TableReader(tmp_path / f"known.{suffix}")
    found = {name: [entry_text(one) for one in reader.column(name)] for name in ("id", "others_id")}
    assert found == {"id": exact, "others_id": [*exact[:3], None]}
    # FITS has no nulls in unsigned columns, and VOTable no unsigned 64 bits.
    if kind != pa.uint64() or suffix in ("parquet", "ecsv"):
        assert all(pa.types.is_integer(reader.schema.field(name).type) == (kind != pa.string()) for name in found)


def test_a_table_whose_positions_are_not_recognised_is_told_what_to_do(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"id": [1], "ra": [1.0], "dec": [0.0]}), tmp_path / "own.parquet")
    pa.parquet.write_table(pa.table({"id": [1], "lon": [1.0], "lat": [0.0]}), tmp_path / "others.parquet")
    with pytest.raises(UnknownNameError, match=r"others\.parquet.*rename its columns of positions to ra and dec"):
        quick(tmp_path / "own.parquet", tables=[tmp_path / "others.parquet"])


def test_what_was_compared_is_not_overwritten_and_rounded_ids_are_told(tmp_path: Path) -> None:
    own, others = tmp_path / "own.parquet", tmp_path / "others.parquet"
    pa.parquet.write_table(pa.table({"id": [1], "ra": [1.0], "dec": [0.0]}), own)
    pa.parquet.write_table(pa.table({"objid": [1.2376e18], "ra": [1.0], "dec": [0.0]}), others)
    with pytest.warns(PeculiarWarning, match=r"others\.parquet: the ids in 'objid' were rounded"):
        found = quick(own, tables=[others])
    for path in (own, others):
        with pytest.raises(UsageError, match="is the input of this command and would be lost"):
            found.write(path)
