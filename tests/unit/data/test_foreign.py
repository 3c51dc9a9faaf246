"""Files that are no text are named by their format; text is never taken for one."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.cli.call import TINY, call
from tests.unit.cli.test_bad_input import refused
from tests.unit.runtime.generators import TUNES, VOCABULARIES, generator

from ostinato.data.foreign import identify
from ostinato.data.inputs import read_texts, write_tune
from ostinato.errors import DataError
from ostinato.runtime.bundle import save
from ostinato.runtime.generator_file import to_bundle

GOLDEN = Path(__file__).parents[2] / "golden"
ASCII = "the rain falls on the sea,\nand the wind blows.\n" * 12


def picture(draw):
    file = io.BytesIO()
    draw(file)
    return file.getvalue()


def archive(name, content):
    def draw(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(name, content)

    return picture(draw)


def png(file):
    from matplotlib.figure import Figure

    Figure(figsize=(1, 1)).savefig(file, format="png")


def torch_file(file):
    import torch

    torch.save({"w": torch.arange(400.0)}, file)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Real files of other formats: what they are called, and what shall be said to do with them."""
    model = tmp_path_factory.mktemp("model") / "m"
    save(model, to_bundle(generator(VOCABULARIES["characters"]), version="0.1.0"))
    noise = np.random.default_rng(0).bytes(3000)
    table = pl.DataFrame({"y": np.random.default_rng(0).normal(size=200)})
    return {
        "model": (model.read_bytes(), "a model file", "ostinato generate"),
        "tune": (write_tune(TUNES[0]), "a MIDI file", "--symbols midi"),
        "gzip": (gzip.compress(ASCII.encode()), "a gzip file", "in .gz"),
        "zip": (archive("a.txt", noise), "a zip archive", "unpack archives"),
        "word": (archive("[Content_Types].xml", noise), "an Office document", "save documents as text"),
        "npz": (archive("x.npy", noise), "a NumPy archive", "plain text"),
        "keras": ((GOLDEN / "model.keras").read_bytes(), "a .keras file", "plain text"),
        "hdf5": ((GOLDEN / "chain.h5").read_bytes(), "an HDF5 file", "plain text"),
        "png": (picture(png), "a picture (PNG)", "plain text"),
        "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF" + noise, "a picture (JPEG)", "plain text"),
        "pdf": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + zlib.compress(noise), "a PDF document", "plain text"),
        "wav": (b"RIFF\x24\x0c\0\0WAVEfmt " + noise, "a sound (WAV)", "plain text"),
        "torch": (picture(torch_file), "a torch file", "plain text"),
        "npy": (picture(lambda file: np.save(file, table["y"].to_numpy())), "a NumPy array", "plain text"),
        "parquet": (picture(table.write_parquet), "a Parquet file", "plain text"),
        "pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\xff", "a pickle", "plain text"),
    }  # fmt: skip


NAMES = ("model", "tune", "gzip", "zip", "word", "npz", "keras", "hdf5", "png", "jpeg", "pdf", "wav", "torch", "npy",
         "parquet", "pickle")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_fit_names_what_came_instead_of_a_text(name, files, tmp_path):
    content, kind, advice = files[name]
    (tmp_path / "text.txt").write_text(ASCII)
    (tmp_path / "given").write_bytes(content)
    for given in ((tmp_path / "given",), (tmp_path / "text.txt", tmp_path / "given")):
        done = call("fit", "generate", *given, "--out", tmp_path / "m")
        refused(done, code="format]", word=f"got {kind}")
        assert str(tmp_path / "given") in done.err
        assert advice in done.err
    with pytest.raises(DataError, match="must be UTF-8 text"):  # a picture with holes is no text either
        read_texts(tmp_path / "given", errors="replace")


@pytest.mark.parametrize("name", NAMES)
def test_fit_names_what_came_instead_of_a_table(name, files, tmp_path):
    content, kind, _ = files[name]
    (tmp_path / "given.csv").write_bytes(content)
    done = call("fit", "forecast", tmp_path / "given.csv", *TINY, "--out", tmp_path / "m")
    refused(done, code="format]", word=f"got {kind}")


@pytest.mark.parametrize(
    "start", ["MZ was a man", "BZh and more", "PAR1", "GIF89a", "%PDF-1.4", "ID3", "GGUF", "{", "\0MZ"]
)
def test_text_is_text_however_it_begins(start, tmp_path):
    (tmp_path / "a.txt").write_text(start + ASCII, "utf-8")
    assert read_texts(tmp_path / "a.txt").items == (start + ASCII,)


@pytest.mark.parametrize("start", ["MZ was a man", "BZh and more", "ID3 and more"])
def test_latin_text_is_no_program(start, tmp_path):
    data = (start + " größer\n" * 20).encode("latin-1")
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_texts(tmp_path / "a.txt")
    assert caught.value.code == "encoding"
    assert identify(data) is None
