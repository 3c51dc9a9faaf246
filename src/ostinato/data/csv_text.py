"""CSV files become columns of text; every fault is found here with its line number, and nothing is ever executed."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from pathlib import Path
from typing import NamedTuple

from ostinato.data.foreign import refuse_foreign
from ostinato.data.times import Place
from ostinato.errors import ArgumentError, DataError

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_VARIABLE = "OSTINATO_MOST_UNPACKED"
_ALWAYS, _TIMES, _LARGEST = 1 << 26, 100, 1 << 31
"""Most bytes that packed data may unpack to: 64 MB or a hundred times the file, and never more than 2 GB. Tables of
numbers as text pack 3 to 20 times; what packs a thousand times is made to."""
_PIECE = 1 << 20

_VALUE = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{4}-\d\d(-\d\d.*)?|")


_FIXES = {
    "gzip": "Let its name end in .gz, or unpack it.",
    "Parquet": "Let its name end in .parquet.",
    "model": "Give the table that it shall learn from or forecast.",
    "": "Give CSV or Parquet: unpack archives, and save spreadsheets as CSV UTF-8.",
}
"""What to do with a file that is no text."""


class TextTable(NamedTuple):
    """Columns of text by name, and the place of each row ("line 17"); lines count from 1, the header included."""

    columns: dict[str, list[str]]
    place: Place


def read_csv(path: Path, *, delimiter: str | None = None) -> TextTable:
    """Read a .csv, .tsv or .txt file, also with .gz, in UTF-8 (a byte order mark is dropped).

    Args:
        path: The file.
        delimiter: One character; None takes the only one of comma, semicolon, tab and bar that the header line has.

    Raises:
        DataError: `file`, `format`, `encoding`, `unpacked`, `nul`, `empty`, `delimiter`, `header`, `column`,
            `ragged` or `csv`.
    """
    if delimiter is not None and len(delimiter) != 1:
        raise ArgumentError("delimiter must be one character", got=repr(delimiter), fix='Pass for example ";".')
    text = decode(read_bytes(path), name=path.name)
    if not text.strip():
        raise _empty("a header line and rows", "an empty file", path)
    chosen = delimiter or _find_delimiter(text, path)
    rows = _rows(text, chosen, path.name)
    names = _header(rows[0], path.name)
    body = rows[1:]
    while body and not body[-1]:
        body.pop()
    if not body:
        raise _empty("rows below its header", "a header only", path)

    def place(row: int) -> str:
        return f"line {_line(text, chosen, row + 1)}"

    if any(not row for row in body) and len(names) > 1:
        filled = [i for i, row in enumerate(body) if row]
        body = [body[i] for i in filled]

        def place(row: int) -> str:
            return f"line {_line(text, chosen, filled[row] + 1)}"
    elif len(names) == 1:
        body = [row or [""] for row in body]
    if set(map(len, body)) != {len(names)}:
        raise _ragged(body, names, chosen, place)
    return TextTable({name: list(cells) for name, cells in zip(names, zip(*body, strict=True), strict=True)}, place)


def _empty(rule: str, got: str, path: Path) -> DataError:
    return DataError(f"the file must have {rule}", got=got, fix="Check the file.", where=path.name, code="empty")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz.

    Raises:
        DataError: `file`, it cannot be read; `unpacked`, it would unpack to more than 64 MB and a hundred times its
            size, or to more than 2 GB. The environment variable OSTINATO_MOST_UNPACKED allows another number of bytes.
    """
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        got, fix = "a folder", "Name the file in it."
    except FileNotFoundError:
        got, fix = "no such file", _nearby(path)
    except (OSError, ValueError) as error:
        got, fix = str(error), "Check the path and its permissions."
    else:
        return _unpacked(data, path) if path.suffix.lower() == ".gz" else data
    raise _unreadable(got, fix, path)


def _unpacked(data: bytes, path: Path) -> bytes:
    """Unpack members of gzip one after the other, never more than is allowed."""
    import zlib

    size, pieces, rest = 0, [], memoryview(data)
    try:
        while rest:
            member = zlib.decompressobj(wbits=31)
            given = rest
            while not member.eof:
                piece = member.decompress(given, _PIECE)
                given = memoryview(member.unconsumed_tail)
                if not (piece or member.eof):
                    raise zlib.error("it ends too soon")
                size += len(piece)
                check_unpacked(size, len(data), path)
                pieces.append(piece)
            rest = memoryview(member.unused_data.lstrip(b"\0"))  # members may be padded
    except zlib.error as error:
        raise _unreadable(f"damaged gzip data ({error})", "Pack the file again.", path) from None
    return b"".join(pieces)


def check_unpacked(size: int, packed: int, path: Path) -> None:
    """Raise `DataError` (`unpacked`) if a file of `packed` bytes may not unpack to `size` bytes."""
    most = _most_unpacked(packed)
    if size > most:
        raise DataError(
            f"packed data must unpack to at most {most:,} bytes (for a file of {packed:,})", got="more",
            fix=f"Unpack it yourself, or allow more bytes with the environment variable {_VARIABLE}.",
            where=str(path), code="unpacked",
        )  # fmt: skip


def _most_unpacked(packed: int) -> int:
    text = os.environ.get(_VARIABLE)
    if text is None:
        return min(max(_ALWAYS, _TIMES * packed), _LARGEST)
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(
            f"{_VARIABLE} must be a whole number of bytes of at least 1",
            got=repr(text[:80]),
            fix="Set it, or unset it.",
        )
    return int(text)


def _unreadable(got: str, fix: str, path: Path) -> DataError:
    return DataError("the data must be a readable file", got=got, fix=fix, where=str(path), code="file")


def _nearby(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {str(folder)!r} either; check the path."
    same = sorted(
        entry.name for entry in folder.iterdir() if entry.suffix.lower() in (".csv", ".tsv", ".parquet", ".gz")
    )
    return f"Check the name; beside it are: {', '.join(same[:8])}." if same else "Check the path."


def decode(data: bytes, *, name: str) -> str:
    """UTF-8 bytes as text without the byte order mark; names the byte and the line of what is not UTF-8, or the format
    that it is instead."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(
            "the file must be UTF-8 text", got="UTF-16", fix='Save it as "CSV UTF-8".', where=name, code="encoding"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse_foreign(data, rule="the file must be UTF-8 text", where=name, fixes=_FIXES)
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            "the file must be UTF-8 text",
            got=f"the byte 0x{data[error.start]:02x}",
            fix='Save it as "CSV UTF-8"; files of older programs are often Latin-1 or Windows-1252.',
            where=f"byte {error.start} (line {line}) of {name}",
            code="encoding",
        ) from None
    if "\0" in text:
        refuse_foreign(data, rule="the file must be UTF-8 text", where=name, fixes=_FIXES)
        at = text.index("\0")
        line = text.count("\n", 0, at) + 1
        raise DataError(
            "the file must not contain NUL characters",
            got="NUL",
            fix="The file is damaged, or no text; write it again.",
            where=f"line {line} of {name}",
            count=text.count("\0"),
            code="nul",
        )
    return text


def _find_delimiter(text: str, path: Path) -> str:
    if ".tsv" in [suffix.lower() for suffix in path.suffixes]:
        return "\t"
    header = re.search(r"[^\r\n]*[^\s][^\r\n]*", text)
    bare = re.sub(r'"[^"]*"', "", header[0] if header else "")
    found = [mark for mark in _DELIMITERS if mark in bare]
    if len(found) > 1:
        raise DataError(
            "the header must show one delimiter",
            got=" and ".join(f"{bare.count(mark)} × {_DELIMITERS[mark]}" for mark in found),
            fix="Pass " + " or ".join(f"delimiter={mark!r}" for mark in found) + ".",
            where=f"line 1 of {path.name}",
            code="delimiter",
        )
    return found[0] if found else ","


def _rows(text: str, delimiter: str, name: str) -> list[list[str]]:
    start = len(text) - len(text.lstrip("\r\n"))
    reader = csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        return list(reader)
    except csv.Error as error:
        got, fix = ascii(str(error))[1:-1], "Close the quotes, and double the quotes inside quoted cells."
        if "field larger" in got:
            got = f"a cell of more than {csv.field_size_limit():,} characters"
            fix = "A quote that is not closed may have swallowed the rest of the file."
        line = _last_good(text[start:], delimiter) + 1 + text[:start].count("\n")
        raise DataError("the file must be CSV", got=got, fix=fix, where=f"line {line} of {name}", code="csv") from None


def _last_good(text: str, delimiter: str) -> int:
    """The last line of the records before the first faulty one."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 0
    with contextlib.suppress(csv.Error):
        for _ in reader:
            line = reader.line_num
    return line


def _line(text: str, delimiter: str, record: int) -> int:
    """The first line of a record (0 is the header), counting lines inside quotes as well."""
    start = len(text) - len(text.lstrip("\r\n"))
    reader = csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    for _ in range(record):
        next(reader)
    return reader.line_num + 1 + text[:start].count("\n")


def _header(cells: list[str], file: str) -> list[str]:
    names = [cell.strip() or f"column {i + 1}" for i, cell in enumerate(cells)]
    if all(_VALUE.fullmatch(cell.strip()) for cell in cells):
        raise DataError(
            "the first line must name the columns",
            got=", ".join(cells[:5])[:80],
            fix='Put a header above it, for example "ds,y".',
            where=f"line 1 of {file}",
            code="header",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            "column names must differ",
            got=", ".join(f"{name!r} {names.count(name)} times" for name in twice[:5]),
            fix="Rename or remove one of them.",
            where=f"line 1 of {file}",
            code="column",
        )
    return names


def _ragged(body: list[list[str]], names: list[str], delimiter: str, place: Place) -> DataError:
    bad = [i for i, row in enumerate(body) if len(row) != len(names)]
    widths = list(dict.fromkeys(len(body[i]) for i in bad))
    fix = "Complete or correct these lines, and quote cells that contain the delimiter."
    if delimiter == "," and max(widths) > len(names):
        fix += ' If numbers have a decimal comma, use another delimiter and pass decimal=",".'
    return DataError(
        f"every line must have {len(names)} cells, as the header has",
        got=" and ".join(map(str, widths[:3])),
        fix=fix,
        where=[place(i) for i in bad[:5]],
        count=len(bad),
        code="ragged",
    )
