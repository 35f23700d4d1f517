"""Text tables as programs and services write them: preambles, units, signs between cells, encodings, compression."""

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from peculiar.errors import DataError, PeculiarWarning
from peculiar.tables.byte_streams import open_unpacked
from peculiar.tables.column import Column
from peculiar.tables.delimited import read_layout
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky

PLAIN = "id,ra,dec,note\ng1,150.1,2.2,très jolie\ng2,150.2,-2.3,b\n"
WANTED = {"id": ["g1", "g2"], "ra": ["150.1", "150.2"], "dec": ["2.2", "-2.3"]}


def rows(path: Path) -> dict[str, list[object]]:
    reader = TableReader(path)
    found = {name: reader.column(name) for name in ("id", "ra", "dec")}
    assert len(reader) == len(found["id"])
    return found


WAYS = {
    "plain": PLAIN,
    "comments of SkyServer": "#Table1\n" + PLAIN,
    "comments of people": "# made by hand, in haste, for you\n#\n\n" + PLAIN,
    "a header that is a comment": "#" + PLAIN,
    "a header behind comments that is one": "# version 3\n# " + PLAIN,
    "sep of Excel": "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
    "sep in quotes": '"sep=;"\n' + PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "bars": PLAIN.replace(",", " | "),
    "blanks behind commas": PLAIN.replace(",", ", "),
    "decimal commas": "id;ra;dec;note\ng1;150,1;2,2;a\ng2;150,2;-2,3;b\n",
    "old ends of lines": PLAIN.replace("\n", "\r"),
    "ends of lines of Windows": PLAIN.replace("\n", "\r\n"),
    "blank lines": "\n\n" + PLAIN.replace("\n", "\n\n") + "\n\n",
    "empty rows at the end": PLAIN + ",,,\n,,,\n",
    "comments at the end": PLAIN + "# END of table\n",
    "units of VizieR": "#\n# A service\n\nid\tra\tdec\tnote\n\tdeg\tdeg\t\n---\t---------\t-----\t----\n"
    "g1\t150.1\t2.2\ta\ng2\t150.2\t-2.3\tb\n",
    "units of VizieR with semicolons": "#\nid;ra;dec\n;deg;deg\n--;-----;----\ng1;150.1;2.2\ng2;150.2;-2.3\n",
    "dashes without units": "id,ra,dec\n--,---,---\ng1,150.1,2.2\ng2,150.2,-2.3\n",
    "blanks as TOPCAT": "# id ra dec\n  g1   150.1  2.2\n  g2   150.2 -2.3\n",
    "blanks and words in quotes": '# id ra dec note\n g1 150.1 2.2 "a word"\n g2 150.2 -2.3 ""\n',
    "blanks with a plain header": "id ra dec\ng1 150.1 2.2\ng2 150.2 -2.3\n",
    "SExtractor": "#   1 id   Name of it\n#   2 ra   Right ascension [deg]\n#   3 dec  Declination [deg]\n"
    "  g1 150.1  2.2\n  g2 150.2 -2.3\n",
    "IPAC": "\\fixlen = T\n| id | ra    | dec  |\n| char | double | double |\n"
    "  g1   150.1   2.2  \n  g2   150.2   -2.3 \n",
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_come_out_of_every_way_to_write_them(way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(WAYS[way].encode())
    found = rows(path)
    assert {name: [str(value) for value in values] for name, values in found.items()} == WANTED
    sky = need_sky(TableReader(path))
    assert sky.names == ("ra", "dec")


@pytest.mark.parametrize("way", ["plain", "tabs", "bars", "sep of Excel", "decimal commas", "blanks behind commas"])
@pytest.mark.parametrize("places", [(1,), (2, 3), (1, 5)])
def test_headers_between_rows_are_left_out_and_told(way: str, places: tuple[int, ...], tmp_path: Path) -> None:
    lines = WAYS[way].splitlines(keepends=True)
    begin = len(lines) - 3
    for place in places:
        lines.insert(begin + place, lines[begin])
    (tmp_path / "a.txt").write_text("".join(lines))
    with pytest.warns(PeculiarWarning, match="the header occurs again between the rows"):
        found = rows(tmp_path / "a.txt")
    assert {name: [str(value) for value in values] for name, values in found.items()} == WANTED


def test_a_row_that_repeats_part_of_the_header_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,ra,dec\nid,ra,1\n,ra,dec\n")
    assert rows(tmp_path / "a.csv") == {"id": ["id", None], "ra": ["ra", "ra"], "dec": ["1", "dec"]}


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("way", ["plain", "comments of people", "sep of Excel", "blanks as TOPCAT"])
def test_encodings_that_show_are_read(encoding: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(WAYS[way].encode(encoding))
    assert rows(path) == WANTED
    if way == "plain":
        assert TableReader(path).column("note") == ["très jolie", "b"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("before", [0, 100_000])
def test_other_encodings_are_named(encoding: str, before: int, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("id,ra,dec,note\n" + "g0,1,2,c\n" * before + "g1,1,2,très jolie\n").encode(encoding))
    with pytest.raises(DataError, match=r"a\.csv: is not in UTF-8.*Windows-1252 or Latin-1.*iconv -f WINDOWS-1252"):
        TableReader(path).column("note")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("way", ["plain", "units of VizieR", "SExtractor"])
def test_compressed_text_is_read(pack: object, way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(pack(WAYS[way].encode()))  # type: ignore[operator]
    assert rows(path) == WANTED


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("count", [3, 50_000])
def test_a_compressed_file_that_is_cut_is_told(pack: object, count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = pack(("id,ra\n" + "".join(f"{n},{n * 7919 % 360}\n" for n in range(count))).encode())  # type: ignore[operator]
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(DataError, match=r"a\.csv\.gz: is compressed, and damaged"):
        TableReader(path).column("id")


def test_a_file_that_grows_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.tables.byte_streams._MOST_UNPACKED", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,ra\n" + b"7,1\n" * (1 << 20)))
    with pytest.raises(DataError, match=r"a\.csv\.gz: is compressed, and holds more than 1 MB; unpack it first"):
        TableReader(path).column("id")


def test_units_and_meanings_are_kept(tmp_path: Path) -> None:
    for way in ("units of VizieR", "SExtractor"):
        path = tmp_path / "a.txt"
        path.write_text(WAYS[way])
        assert Column.of(TableReader(path).schema.field("ra")).unit == "deg"
    assert Column.of(TableReader(path).schema.field("ra")).description == "Right ascension"


def test_a_column_of_sextractor_with_several_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.cat"
    path.write_text("# 1 NUMBER\n# 2 MAG_APER Magnitudes [mag]\n# 4 ALPHA_J2000\n 1 20.1 20.2 150.1\n")
    assert TableReader(path).columns == ("NUMBER", "MAG_APER", "MAG_APER_1", "ALPHA_J2000")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b\n1,234;x\n12,345,678;y\n", ["1,234", "12,345,678"]),  # thousands
        ("a;b\n1,5;1.5\n", ["1,5"]),  # both: who knows
        ("a,b\n007,x\n", ["007"]),
        ('a;b\n"two words, and a comma";y\n', ["two words, and a comma"]),
        ("a,b\n x ,y\n", [" x "]),
        ("a\n1\n-\nx\n", ["1", "-", "x"]),  # no units above a line
        ("a,b\nx,2\n--,--\n", ["x", "--"]),
        ("a,b\nx,y\nz,w\n--,--\n", ["x", "z", "--"]),
        ('a,5" flux\nx,y\nz,w\n', ["x", "z"]),  # no name with a line break
        pytest.param(f"a;b\n{'x' * 140_000};y\n", ["x" * 140_000], id="long"),
    ],
)
def test_what_is_not_sure_stays_as_it_is_written(text: str, columns: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert TableReader(path).column("a") == columns


@pytest.mark.parametrize("delimiter", [",", " "])
def test_a_row_with_too_many_cells_is_shown(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("#id ra\n1 2\n3 4 x\n".replace(" ", delimiter))
    with pytest.raises(DataError, match=r"a\.txt: a row has 3 cells, and the header has 2: '3.+4.+x'; correct it"):
        TableReader(path).column("id")


def test_quotes_that_are_never_closed_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,note\n1,"two\nlines"\n2,"y\n3,z\n')
    with pytest.warns(PeculiarWarning, match=r"a\.csv: the last row ends within quotes that are never closed"):
        assert TableReader(path).column("id") == ["1", "2"]


def test_rows_without_values_between_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + ",\n" * 5 + "1,2\n,\n,\n")
    assert TableReader(path).column("a") == [None] * 5 + ["1"]


def test_a_header_alone_and_none_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in ("id,ra\n", "id,ra"):
        path.write_text(text)
        assert TableReader(path).columns == ("id", "ra")
        assert TableReader(path).column("id") == []


def test_many_rows_without_values_before_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + ",\n" * 700_000 + "1,2\n" + ",\n" * 700_000)  # more than Arrow reads at a time
    read = TableReader(path).column("a")
    assert (len(read), read[-1]) == (700_001, "1")


def test_a_comment_may_be_the_header_of_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("# made by hand\n# id ra dec\n")
    assert TableReader(path).columns == ("id", "ra", "dec")
    assert TableReader(path).column("ra") == []


def test_a_file_without_names_of_columns_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=;\n\n")
    with pytest.raises(DataError, match=r"a\.csv: holds no header: no line with the names of columns"):
        TableReader(path)


def test_text_that_breaks_the_encoding_of_its_first_bytes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,ra\ng1,1\n".encode("utf-16") + b"\n")
    with pytest.raises(DataError, match=r"a\.csv: is not UTF-16 text, though its first bytes say so.*save it as UTF-8"):
        TableReader(path)


def test_what_is_unpacked_is_bounded_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.tables.byte_streams._MOST_UNPACKED", 1 << 20)
    path, content = tmp_path / "a.csv.gz", b"id,ra\n" + b"7,1\n" * (1 << 19)
    path.write_bytes(gzip.compress(content))
    with open_unpacked(path) as file, pytest.raises(DataError, match="holds more than 1 MB; unpack it first"):
        file.read()
    path.write_bytes(gzip.compress(content[:1000])[:-4])
    with open_unpacked(path) as file, pytest.raises(DataError, match="is compressed, and damaged"):
        file.read()


def test_a_compressed_table_is_read_no_further_once_it_is_left() -> None:
    text = "id,ra\n" + "1,2.5\n" * 2_000_000  # more than Arrow reads ahead
    Path("long.csv.gz").write_bytes(gzip.compress(text.encode(), 1))
    opened = read_layout(Path("long.csv.gz"), Path("long.csv.gz"))._open()
    next(iter(pa.csv.open_csv(opened)))
    opened.close()
    assert opened._file.closed
    assert opened.read(10) == b""
