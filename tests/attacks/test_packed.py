"""Packed tables and texts that would unpack to much more than they are: refused before the memory is taken."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ostinato.data import read_panel
from ostinato.data.inputs import read_texts
from ostinato.errors import ArgumentError, DataError

ROWS = b"y\n" + b"1\n" * 500_000


def zeros(n: int) -> bytes:
    """`n` zeros, packed piece by piece."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join([*(packer.compress(piece) for _ in range(n >> 20)), packer.flush()])


BOMBS = {
    "one_member": lambda: zeros(1 << 30),
    "many_members": lambda: zeros(1 << 24) * 40,
    "a_size_that_lies": lambda: zeros(1 << 28)[:-4] + b"\1\0\0\0",
    "rows": lambda: gzip.compress(b"ds,y\n" + b"1,1\n" * (1 << 25), mtime=0),
}
CHECKED = """
import os, resource, sys
from pathlib import Path
from ostinato.data.csv_text import read_bytes
from ostinato.errors import DataError
import zlib
space = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
size = os.path.getsize(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (space + max(64 << 20, 100 * size) + (32 << 20), resource.RLIM_INFINITY))
try:
    read_bytes(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_within_the_limit(name, tmp_path):
    path = tmp_path / f"{name}.csv.gz"
    path.write_bytes(BOMBS[name]())
    done = subprocess.run([sys.executable, "-c", CHECKED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("[unpacked] packed data must unpack to at most ")
    assert "OSTINATO_MOST_UNPACKED" in done.stdout


def refused(read, path) -> DataError:
    with pytest.raises(DataError) as found:
        read(path)
    return found.value


def test_the_limit_can_be_set(tmp_path, monkeypatch):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(ROWS, mtime=0))
    assert len(read_panel(str(path)).series[0]) == 500_000
    monkeypatch.setenv("OSTINATO_MOST_UNPACKED", str(len(ROWS) - 1))
    assert refused(read_panel, str(path)).code == "unpacked"
    assert refused(read_texts, str(path.rename(tmp_path / "a.txt.gz"))).code == "unpacked"
    monkeypatch.setenv("OSTINATO_MOST_UNPACKED", str(len(ROWS)))
    path.write_bytes(gzip.compress(ROWS, mtime=0))
    read_panel(str(path))
    for wrong in ("0", "-1", "many", ""):
        monkeypatch.setenv("OSTINATO_MOST_UNPACKED", wrong)
        with pytest.raises(ArgumentError, match="OSTINATO_MOST_UNPACKED"):
            read_panel(str(path))


def test_parquet_is_counted_before_it_is_unpacked(tmp_path, monkeypatch):
    polars = pytest.importorskip("polars")
    path = tmp_path / "a.parquet"
    polars.DataFrame({"y": polars.repeat(1.0, 1_000_000, eager=True)}).write_parquet(path)
    assert os.path.getsize(path) < 100_000
    assert len(read_panel(str(path)).series[0]) == 1_000_000
    monkeypatch.setenv("OSTINATO_MOST_UNPACKED", "7999999")
    assert refused(read_panel, str(path)).code == "unpacked"


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), gzip.compress(b"a,b\n1,2\n3,4\n") + bytes(64),
     gzip.compress(b"") + gzip.compress(b"a,b\n1,2\n3,4\n")],
    ids=["members", "padding", "empty first"],  # gzip.compress writes the time, which is no name for a test
)  # fmt: skip
def test_several_members_and_padding_are_read_as_gunzip_reads_them(data, tmp_path):
    from ostinato.data.csv_text import read_bytes

    path = Path(tmp_path) / "a.csv.gz"
    path.write_bytes(data)
    assert read_bytes(path) == b"a,b\n1,2\n3,4\n" == gzip.decompress(data)


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 15])
def test_cut_and_changed_data_are_refused(cut, tmp_path):
    from ostinato.data.csv_text import read_bytes

    path, data = Path(tmp_path) / "a.csv.gz", gzip.compress(ROWS[:1000], mtime=0)
    path.write_bytes(data[:-cut])
    assert refused(read_bytes, path).code == "file"
    path.write_bytes(data[:-cut] + bytes([data[-cut] ^ 1]) + (data[1 - cut :] if cut > 1 else b""))
    assert refused(read_bytes, path).code == "file"
    path.write_bytes(data + b"x")
    assert refused(read_bytes, path).code == "file"
