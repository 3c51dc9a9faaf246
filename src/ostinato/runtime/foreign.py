"""Names what a file is that is not a model file of ostinato, from its first bytes; it is only named, never opened."""

from __future__ import annotations

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "a legacy torch file (pickle)"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"GGUF", "a GGUF file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "a SQLite file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (run: git lfs pull)"),
)

_ZIP = b"PK\x03\x04"
_PICKLE_PROTOCOLS = range(2, 6)
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
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite file"
    if len(head) > 3 and head[0] == 0x08 and head[1] < 0x20 and head[2] == 0x12:
        return "an ONNX file, or another protocol buffer"
    return _text(head)


def _zip(head: bytes) -> str:
    length = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + length]
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "a .keras file (zip)"
    if name.endswith((b"data.pkl", b"/version", b"/.format_version", b"/byteorder")):
        return "a torch file (zip with a pickle)"
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
