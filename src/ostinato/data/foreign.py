"""Names what a file is that is not what was asked for, from its first bytes; it is only named, never opened."""

from __future__ import annotations

from collections.abc import Mapping

from ostinato.errors import DataError

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "a legacy torch file (pickle)"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"GGUF", "a GGUF file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "a SQLite file"),
    (b"\x7fELF", "a program"),
    (b"MThd", "a MIDI file"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF87a", "a picture (GIF)"),
    (b"GIF89a", "a picture (GIF)"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older Office document"),
    (b"fLaC", "a sound (FLAC)"),
    (b"OggS", "a sound (Ogg)"),
    (b"ID3\x03", "a sound (MP3)"),
    (b"ID3\x04", "a sound (MP3)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (run: git lfs pull)"),
)

_ZIP = b"PK\x03\x04"
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
"""How the first block, or the end of an empty file, begins."""
_PICKLE_PROTOCOLS = range(2, 6)
_MOST_HEADER = 100 << 20  # the limit of safetensors
_TEXT_CONTROLS = b"\t\n\r"

NEEDED = 512
"""How many of a file's first bytes `identify` wants."""


def identify(head: bytes) -> str | None:
    """What a file that begins with `head` looks like, or None if nothing is recognised."""
    if not head:
        return "an empty file"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith((_ZIP, b"PK\x05\x06")):
        return _zip(head)
    if head[:1] == b"\x80" and len(head) > 1 and head[1] in _PICKLE_PROTOCOLS:
        return "a pickle"
    if head.startswith(b"BZh") and head[4:10] in _BZIP2:
        return "a bzip2 file"
    if head.startswith(b"MZ") and b"\0" in head[:64]:
        return "a program"
    if head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"RMID"):
        return "a sound (WAV)" if head[8:12] == b"WAVE" else "a MIDI file in a RIFF container"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite file"
    if len(head) > 3 and head[0] == 0x08 and head[1] < 0x20 and head[2] == 0x12:
        return "an ONNX file, or another protocol buffer"
    return _text(head)


def refuse_foreign(data: bytes, *, rule: str, where: str, fixes: Mapping[str, str]) -> None:
    """Raise `DataError` (`format`) if data that should be text are plainly something else; to be asked once they are
    found not to be text.

    Args:
        data: Their bytes, at least the first `NEEDED` of them.
        rule: What they should be.
        where: The file.
        fixes: What to do, by a word in the name of the format; "" for all others.
    """
    kind = identify(data[:NEEDED])
    if data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= _MOST_HEADER:
        kind = "a model file (safetensors)"
    if kind is None or kind.startswith("a text file"):
        return
    fix = next(fix for word, fix in fixes.items() if word in kind)
    raise DataError(rule, got=kind, fix=fix, where=where, code="format")


def _zip(head: bytes) -> str:
    length = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + length]
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "a .keras file (zip)"
    if name.endswith((b"data.pkl", b"/version", b"/.format_version", b"/byteorder")):
        return "a torch file (zip with a pickle)"
    if name in (b"[Content_Types].xml", b"_rels/.rels", b"mimetype"):
        return "an Office document or e-book (zip)"
    return "a NumPy archive (.npz)" if name.endswith(b".npy") else "a zip archive"


def _text(head: bytes) -> str | None:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else the head ends within a character
            return None
    if any((byte < 0x20 and byte not in _TEXT_CONTROLS) or byte == 0x7F for byte in head):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        return "a text file (JSON)"
    return "a text file (HTML)" if start[:1] == b"<" else "a text file"
