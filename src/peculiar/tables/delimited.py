"""Text tables: delimiter, header and encoding.

Columns are separated by commas, tabs, semicolons, bars or blanks. Comments may come before the header (SkyServer), the
header may itself be a comment (TOPCAT's ASCII, SExtractor's ASCII_HEAD), and lines with units and dashes may follow it
(VizieR).
"""

import codecs
import csv
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning
from peculiar.files.formulas import unmarked, without_marks
from peculiar.files.places import arrow_file
from peculiar.tables.byte_streams import Halting, Recoded, Tabbed, open_unpacked, packed
from peculiar.tables.column import Column

SAMPLE_BYTES = 1 << 18
"""Number of bytes from which the layout of a file is detected; its header has to be among them."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OPENED = re.compile(r'(?:^|[,;\t|]) *"')
_UNEVEN = re.compile(r"Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")
_DECIMAL_COMMA = r"^([-+]?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?)$"
_SEXTRACTOR = re.compile(r"#\s*(?P<number>\d+)\s+(?P<name>\S+)(?:\s+(?P<about>.*?))??(?:\s*\[(?P<unit>[^\]]*)\])?\s*")


def decoded(head: bytes) -> str | None:
    """Return the first bytes of a file as text, None if they are not text; an unknown encoding is read as Latin-1."""
    encoding = encoding_of(head) or "utf-8"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    if encoding == "utf-8" and "\ufffd" in text.rstrip("\ufffd"):
        text = head.decode("latin-1")
        if not re.search(r"[,;\t|][^\r\n]*[\r\n]", text):
            return None
    # Text may contain a few control characters, but no NUL; binary files contain many.
    unprintable = len(re.findall(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]", text))
    binary = "\0" in text or unprintable > len(text) / 10
    return None if binary or not text.strip() else text.removeprefix("\ufeff")


def encoding_of(head: bytes) -> str | None:
    """Return the encoding that a byte order mark, or zeros between letters, tell; None if there are none."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if len(head) > 3 and head[0] and head[2] and not head[1] and not head[3]:
        return "utf-16-le"
    if len(head) > 3 and head[1] and head[3] and not head[0] and not head[2]:
        return "utf-16-be"
    return None


@dataclass(frozen=True, slots=True)
class Delimited:
    """The layout of a text table.

    Parameters
    ----------
    path : path
    called : path
        The path that messages name.
    columns : tuple of Column
        All columns are text; with units if the file states them.
    delimiter : str
        A blank stands for any number of blanks and tabs.
    begin : int
        First byte of the rows, if the text is in UTF-8.
    encoding : str
        "utf-8", or one that Python decodes.
    decimal_comma : bool
        Numbers are written as 1,5, not as 1.5.
    padded : bool
        Cells have blanks around their values.
    """

    path: Path
    called: Path
    columns: tuple[Column, ...]
    delimiter: str
    begin: int
    encoding: str
    decimal_comma: bool
    padded: bool

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield rows as text, null if empty.

        Repeated headers, and rows without any value at the end, as spreadsheets leave them, are left out.
        """
        all_names = [column.name for column in self.columns]
        # Named by number, because two columns may have the same name.
        numbers = [str(number) for number in range(len(all_names))]
        wanted = [str(all_names.index(name)) for name in names]
        read = pa.csv.ReadOptions(column_names=numbers)
        parse = pa.csv.ParseOptions(
            delimiter="\t" if self.delimiter == " " else self.delimiter,
            newlines_in_values=True,
            invalid_row_handler=_pass_comments,
        )
        convert = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()), strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        with self._open() as file:
            try:
                stream = pa.csv.open_csv(file, read_options=read, parse_options=parse, convert_options=convert)
                yield from self._as_written(stream, wanted)
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):  # only a header
                    return
                if (uneven := _UNEVEN.search(str(error))) is None:
                    raise
                message = (
                    f"a row has {uneven[2]} cells, and the header has {uneven[1]}: {uneven[3][:80]!r}; correct it, or "
                    "put text that contains the delimiter in quotes"
                )
                raise DataError(message) from error

    def _as_written(self, stream: Iterator[pa.RecordBatch], wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of a stream, without rows at its end that have no value."""
        schema = pa.schema([self.columns[int(number)].field() for number in wanted])
        held, end = 0, ""
        for batch in map(self._without_headers, stream):
            end = (batch.columns[-1][-1].as_py() if batch.num_rows else "") or ""
            filled = np.flatnonzero(_filled(batch))
            if not len(filled):
                held += batch.num_rows
                continue
            if held:
                yield pa.RecordBatch.from_arrays([pa.nulls(held, field.type) for field in schema], schema=schema)
            some = self._cleaned(batch.slice(0, int(filled[-1]) + 1).select(list(wanted)))
            yield pa.RecordBatch.from_arrays(some.columns, schema=schema)
            held = batch.num_rows - int(filled[-1]) - 1
        if end.endswith(("\n", "\r")):
            message = f"{self.called}: the last row ends within quotes that are never closed; rows may be missing"
            warnings.warn(message, PeculiarWarning, stacklevel=4)

    def _without_headers(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Drop rows that repeat the header, as in files that were put together, with a warning."""
        again = np.ones(batch.num_rows, bool)
        for array, column in zip(batch.columns, self.columns, strict=True):
            again &= pc.equal(pc.utf8_trim_whitespace(array), column.name).fill_null(False).to_numpy(False)
            if not again.any():
                return batch
        message = f"{self.called}: the header occurs again between the rows; these lines are left out"
        warnings.warn(message, PeculiarWarning, stacklevel=4)
        return batch.filter(pa.array(~again))

    def _open(self) -> Any:
        """Return a stream of UTF-8 that begins with the first row."""
        with self.path.open("rb") as opened:
            head = opened.read(6)
        if not packed(head) and self.encoding == "utf-8" and self.delimiter != " ":
            plain = arrow_file(self.path)
            plain.seek(self.begin)
            return plain
        file: Any = open_unpacked(self.path)
        if self.encoding != "utf-8":
            file = io.BufferedReader(Recoded(file, self.encoding))
        file.read(self.begin)
        return Halting(io.BufferedReader(Tabbed(file)) if self.delimiter == " " else file)

    def _cleaned(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for array in batch.columns:
            if self.padded:
                array = pc.utf8_trim(array, " \t")
            if self.decimal_comma:
                array = pc.replace_substring_regex(array, _DECIMAL_COMMA, r"\1.\2")
            # An empty cell in quotes is null, too.
            arrays.append(without_marks(pc.if_else(pc.equal(array, ""), None, array)))
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def read_layout(path: Path, called: Path) -> Delimited:
    """Detect the layout of a text table from its beginning.

    Parameters
    ----------
    path : path
    called : path
        The path that messages name.

    Raises
    ------
    DataError
        If it has no header, or its encoding is neither stated nor UTF-8.
    """
    with open_unpacked(path) as file:
        head = file.read(SAMPLE_BYTES)
        whole = len(head) < SAMPLE_BYTES
    encoding = encoding_of(head) or "utf-8"
    lines = _lines(_decode(called, head, encoding, whole=whole), whole=whole)
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    if lines and lines[0].startswith("\ufeff"):
        lines[0] = lines[0][1:]
    at, given, comments = 0, None, []
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith("#") or _sep(lines[at], at)):
        given = given or _sep(lines[at], at)
        if lines[at].startswith("#"):
            comments.append(lines[at])
        at += 1
    if at == len(lines) and comments:  # only a header, written as a comment
        lines.append("")
    if at == len(lines):
        raise DataError("holds no header: no line with the names of columns")
    columns, delimiter, at = _header(lines, at, comments, given)
    rows = [line for line in lines[at : at + 1000] if line.strip()]
    return Delimited(
        path,
        called,
        tuple(columns),
        delimiter,
        mark + len("".join(lines[:at]).encode()),
        encoding,
        delimiter not in ", " and _has_decimal_commas(rows, delimiter),
        delimiter == "|" or (delimiter != " " and _is_padded(rows[:20], delimiter)),
    )


def _decode(called: Path, head: bytes, encoding: str, *, whole: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            message = (
                f"is not {encoding.upper()} text, though its first bytes say so ({error.reason}); save it as UTF-8"
            )
            raise DataError(message) from error
        line = head[: error.start].count(b"\n") + 1
        raise not_utf8(called, f" in line {line}") from error


def not_utf8(path: Path, place: str = "") -> DataError:
    """Return the message for text in an unknown encoding."""
    message = (
        f"{path}: is not in UTF-8{place}. It may be in Windows-1252 or Latin-1; save it as UTF-8, or type: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8_{path.name}"
    )
    return DataError(message)


def _lines(text: str, *, whole: bool) -> list[str]:
    """Return lines with their ends; the last line only if it is complete."""
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    return lines if whole or len(lines) < 2 else lines[:-1]


def _sep(line: str, at: int) -> str | None:
    """Return the delimiter in the first line of an Excel file, as in ``sep=;``."""
    match = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE) if at == 0 else None
    return match[1] if match else None


def _header(lines: list[str], at: int, comments: list[str], given: str | None) -> tuple[list[Column], str, int]:
    """Return the columns, the delimiter, and the first line of the rows."""
    numbered = [match for line in comments if (match := _SEXTRACTOR.fullmatch(line.strip()))]
    if numbered and int(numbered[0]["number"]) == 1 and len(_split(lines[at], " ")) >= len(numbered):
        return _numbered_columns(numbered, len(_split(lines[at], " "))), " ", at
    if comments:
        # The last comment is the header if it has as many cells as the first row, and that row holds a number.
        name_line = comments[-1].lstrip("#")
        delimiter = given or _delimiter([name_line, *lines[at : at + 20]], blanks=True)
        names, first = _split(name_line, delimiter), _split(lines[at], delimiter)
        there = any(_NUMBER.fullmatch(cell.strip()) for cell in first) or not "".join(lines[at:]).strip()
        if (
            there
            and not any(_NUMBER.fullmatch(name) for name in names)
            and (len(names) == len(first) or not any(first))
        ):
            return [_column(name or "#") for name in names], delimiter, at
    while lines[at].count('"') % 2 and _OPENED.search(lines[at]) and at + 1 < len(lines):  # a name with a line break
        lines[at : at + 2] = [lines[at] + lines[at + 1]]
    delimiter = given or _delimiter(lines[at : at + 20], blanks=bool(comments))
    names = _split(lines[at], delimiter)
    units, at = _units(lines, at + 1, delimiter, len(names))
    return [_column(name, unit) for name, unit in zip(names, units, strict=True)], delimiter, at


def _numbered_columns(numbered: "list[re.Match[str]]", count: int) -> list[Column]:
    """Return columns as SExtractor numbers them; gaps in the numbers belong to columns with several values."""
    columns: list[Column] = []
    ends = [int(one["number"]) for one in numbered[1:]] + [max(count, int(numbered[-1]["number"])) + 1]
    for one, end in zip(numbered, ends, strict=True):
        for number in range(max(1, end - int(one["number"]))):
            name = one["name"] if number == 0 else f"{one['name']}_{number}"
            columns.append(_column(name, one["unit"] or "", one["about"] or ""))
    return columns[:count]


def _delimiter(lines: Sequence[str], *, blanks: bool) -> str:
    """Return the delimiter of a header: one that gives the same number of cells in the row below, if possible."""
    header = re.sub(r'"[^"]*"', "", lines[0])
    below = next((line for line in lines[1:] if line.strip()), "")
    there = [sign for sign in ",\t;|" if sign in header]
    fitting = [sign for sign in there if len(_split(lines[0], sign)) == len(_split(below, sign))]
    if there:
        return (fitting or there)[0]
    rows = [_split(line, " ") for line in lines if line.strip()]
    columns = zip(*rows[1:], strict=True) if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 else ()
    of_numbers = any(all(_NUMBER.fullmatch(cell) for cell in column) for column in columns)
    return " " if (of_numbers and len(rows) > 1) or (blanks and len(rows[0]) > 1) else ","


def _units(lines: list[str], at: int, delimiter: str, count: int) -> tuple[list[str], int]:
    """Return the units below a header, if a line of dashes marks them, and the line after both."""
    above: list[str] = []
    for below, line in enumerate(lines[at : at + 2], at + 1):
        cells = [cell.strip() for cell in _split(line, delimiter)]
        # Dashes below numbers, or single ones, are values that are missing.
        ruled = len(cells) == count and all(re.fullmatch(r"-+", cell) for cell in cells) and max(map(len, cells)) > 1
        if ruled and not any(map(_NUMBER.fullmatch, above)):
            return [*above, *[""] * count][:count], below
        above = cells
    return [""] * count, at


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', line)]
    line = line.strip("\r\n")
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell that is too long for Python, which Arrow reads
        cells = line.split(delimiter)
    return [cell.strip() or cell for cell in cells]


def _column(name: str, unit: str = "", about: str = "") -> Column:
    return Column(unmarked(name.strip() or name), pa.string(), about, unit)


def _has_decimal_commas(rows: Sequence[str], delimiter: str) -> bool:
    """Return True if numbers have decimal commas, and none has a point or several commas."""
    cells = [cell for row in rows for cell in _split(row, delimiter)]
    commas = any(re.fullmatch(_DECIMAL_COMMA, cell) for cell in cells)
    return commas and not any(re.fullmatch(r"[-+]?[\d,]*\d\.\d+|\d{1,3}(,\d{3}){2,}", cell) for cell in cells)


def _is_padded(lines: Sequence[str], delimiter: str) -> bool:
    """Return True if a blank follows each delimiter of the first rows."""
    return bool(lines) and all(
        f"{delimiter} " in line and not re.search(f"{re.escape(delimiter)}[^ ]", line.strip()) for line in lines
    )


def _pass_comments(row: Any) -> str:
    return "skip" if row.text.lstrip().startswith("#") else "error"


def _filled(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Return a mask of the rows that have a value; all of a single column, because empty lines are not rows."""
    known = np.full(batch.num_rows, batch.num_columns < 2)
    for array in batch.columns:
        if known.all():
            break
        known |= array.is_valid().to_numpy(zero_copy_only=False)
    return known
