"""Text files become texts: strict UTF-8, one line ending, and one continuous text or one item a line or file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.csv_text import read_bytes
from ostinato.data.foreign import refuse_foreign
from ostinato.data.inputs.files import Paths, list_files
from ostinato.errors import ArgumentError, DataError

Items = Literal["stream", "lines", "files"]
_BOM = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "UTF-16 or UTF-32", b"\xfe\xff": "UTF-16", b"\0\0\xfe\xff": "UTF-32"}


@lean_dataclass(frozen=True)
class Texts:
    """Text that is ready to be split and encoded.

    Args:
        items: One string if the text is continuous, else one for each item; none is empty.
        stream: True for one continuous text, whose order is time; False for items without order (names, poems).
        replaced: Invalid byte sequences that became U+FFFD; 0 unless that was asked for.
        skipped: Empty lines or empty files that were left out.
    """

    items: tuple[str, ...]
    stream: bool
    replaced: int = 0
    skipped: int = 0

    def __post_init__(self) -> None:
        if not self.items or not all(self.items):
            raise DataError("there must be text", got="an empty text", fix="Leave empty items out.", code="empty")
        if self.stream and len(self.items) > 1:
            raise ArgumentError(
                "a continuous text must be one string", got=f"{len(self.items)}", fix="Join them, or pass stream=False."
            )

    @property
    def characters(self) -> int:
        """Number of code points of all items together."""
        return sum(map(len, self.items))


def read_texts(
    source: Paths, *, items: Items = "stream", errors: Literal["strict", "replace"] = "strict", newlines: bool = False
) -> Texts:
    r"""Read text files in UTF-8, also packed (.gz); byte order marks are dropped.

    Args:
        source: A file, a folder (its .txt files and those in its subfolders, in order of their paths), or several.
        items: "stream": one continuous text, files joined in order, with a line end where a file has none at its end.
            "lines": each line is an item, without its line end; empty lines are left out. "files": each file is one.
        errors: "strict" refuses what is not UTF-8; "replace" turns it into U+FFFD and counts it.
        newlines: Keep `\r\n` and `\r` as they are. By default each becomes `\n`, as in Python's text files; a model
            need not learn both, and lines end at either.

    Raises:
        ArgumentError: `items` or `errors` is another word, or `newlines` is to be kept in lines.
        DataError: `file` (cannot be read), `format` (a picture, an archive …), `encoding` (with byte and line),
            `empty`, `duplicate` or `type`.
    """
    if items not in get_args(Items):
        raise ArgumentError('items must be "stream", "lines" or "files"', got=repr(items), fix="Pass one of them.")
    if errors not in ("strict", "replace"):
        raise ArgumentError('errors must be "strict" or "replace"', got=repr(errors), fix="Pass one of them.")
    if newlines and items == "lines":
        raise ArgumentError(
            "line ends can only be kept inside texts", got='newlines=True with items="lines"', fix="Leave it out."
        )
    files = list_files(source, endings=(".txt",))
    pairs = [_read(path, errors=errors) for path in files]
    texts = [text if newlines else one_line_end(text) for text, _ in pairs]
    replaced = sum(count for _, count in pairs)
    if items == "lines":
        lines = [line for text in texts for line in text.removesuffix("\n").split("\n")]
        kept = tuple(line for line in lines if line.strip())
        skipped = len(lines) - len(kept)
    else:
        kept, skipped = tuple(filter(None, texts)), texts.count("")
    if not any(text.strip() for text in kept):
        raise DataError(
            "the file must hold text" if len(files) == 1 else "the files must hold text",
            got="an empty file" if not any(texts) else "white space only",
            fix="Check the path.",
            where=[str(path) for path in files],
            code="empty",
        )
    if items == "stream":
        ended = [text if text.endswith(("\n", "\r")) else text + "\n" for text in kept[:-1]]
        kept = ("".join([*ended, kept[-1]]),)
    return Texts(kept, items == "stream", replaced, skipped)


_FIXES = {
    "gzip": "Let its name end in .gz, or unpack it.",
    "MIDI": 'Give either texts or tunes; a tune whose name does not end in .mid needs symbols="midi".',
    "model": "Give the text that it shall learn from; a model goes on with a text in ostinato generate.",
    "": "Give plain text in UTF-8: unpack archives, and save documents as text.",
}
"""What to do with a file that is no text."""


def _read(path: Path, *, errors: Literal["strict", "replace"]) -> tuple[str, int]:
    data = read_bytes(path)
    _refuse_wide(data, what="the file", where=str(path))
    body = data.removeprefix(_BOM)
    with suppress(UnicodeDecodeError):
        return body.decode("utf-8"), 0
    refuse_foreign(data, rule="the file must be UTF-8 text", where=str(path), fixes=_FIXES)
    if errors == "strict":
        fix = 'Save it as UTF-8 (older programs write Latin-1 or Windows-1252), or pass errors="replace".'
        return decode_strictly(data, what="the file", where=str(path), fix=fix), 0
    text = body.decode("utf-8", errors="replace")
    return text, text.count("\ufffd") - body.count("\ufffd".encode())


def one_line_end(text: str) -> str:
    r"""Every `\r\n` and `\r` as `\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode_strictly(data: bytes, *, what: str, where: str, fix: str) -> str:
    """The text that UTF-8 bytes hold; a byte order mark is dropped.

    Args:
        data: The bytes.
        what: What they are, for the error: "the file".
        where: Its name.
        fix: What to do about other bytes.

    Raises:
        DataError: `encoding`, with the byte and the line.
    """
    _refuse_wide(data, what=what, where=where)
    skip = len(_BOM) if data.startswith(_BOM) else 0
    body = data[skip:]
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        text = body.decode("utf-8", errors="replace")
        before = body[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        raise DataError(
            f"{what} must be UTF-8 text",
            got=f"the byte 0x{body[error.start]:02x}",
            fix=fix,
            where=f"byte {error.start + skip} (line {before.count(bytes([10])) + 1}) of {where}",
            count=text.count("\ufffd") - body.count("\ufffd".encode()),
            code="encoding",
        ) from None


def _refuse_wide(data: bytes, *, what: str, where: str) -> None:
    wide = next((name for mark, name in _WIDE.items() if data.startswith(mark)), None)
    if wide:
        raise DataError(
            f"{what} must be UTF-8 text",
            got=f"the byte order mark of {wide}",
            fix="Save it as UTF-8.",
            where=f"byte 0 (line 1) of {where}",
            code="encoding",
        )
