import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.inputs import Texts, read_texts
from ostinato.errors import ArgumentError, DataError


def write(folder, name, data):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def refused(code, *args, **kwargs):
    with pytest.raises(DataError) as caught:
        read_texts(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


@given(st.text(min_size=1).filter(str.strip))
@settings(max_examples=200)
def test_any_text_comes_back_with_its_line_ends_kept(tmp_path_factory, text):
    path = write(tmp_path_factory.mktemp("t"), "a.txt", text)
    assert read_texts(path, newlines=True).items == (text,)
    plain = path.read_text("utf-8")
    assert read_texts(path).items == (plain,)


def test_byte_order_mark_and_line_ends(tmp_path):
    path = write(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_texts(path) == Texts(("one\ntwo\nthree\n",), True)
    assert read_texts(path, newlines=True).items == ("one\r\ntwo\rthree\n",)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_invalid_bytes_are_named_with_offset_and_line(tmp_path, mark):
    data = mark + "naïve\r\nok\rca".encode() + b"f\xe9 \xff\n" + "\ufffd".encode()
    path = write(tmp_path, "a.txt", data)
    error = refused("encoding", path)
    assert error.got == "the byte 0xe9"
    assert error.where == (f"byte {data.index(bytes([0xE9]))} (line 3) of {path}",)
    assert error.count == 2
    texts = read_texts(path, errors="replace")
    assert texts.items[0].endswith("caf\ufffd \ufffd\n\ufffd")
    assert texts.replaced == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_encodings_are_named(tmp_path, encoding):
    error = refused("encoding", write(tmp_path, "a.txt", "\ufeffabc".encode(encoding)), errors="replace")
    assert "UTF-" in error.got


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \n\t\r\n"])
def test_empty_files(tmp_path, data):
    path = write(tmp_path, "a.txt", data)
    for items in ("stream", "lines", "files"):
        assert refused("empty", path, items=items).where == (str(path),)


def test_several_files_folders_and_packed_ones(tmp_path):
    a = write(tmp_path, "b.txt", "second")
    write(tmp_path, "a.txt.gz", gzip.compress(b"first\n"))
    write(tmp_path, "sub/c.txt", "third")
    write(tmp_path, "empty.txt", "")
    write(tmp_path, ".hidden.txt", "no")
    write(tmp_path, "x.csv", "no")
    assert read_texts(tmp_path) == Texts(("first\nsecond\nthird",), True, skipped=1)
    assert read_texts(tmp_path, items="files").items == ("first\n", "second", "third")
    assert read_texts([a, tmp_path / "x.csv"]).items == ("second\nno",)
    assert refused("duplicate", [tmp_path, a]).where == (str(a),)


def test_lines_are_items(tmp_path):
    path = write(tmp_path, "names.txt", "anna\r\n\r\n bert \n  \nanna")
    assert read_texts(path, items="lines") == Texts(("anna", " bert ", "anna"), False, skipped=2)


def test_what_cannot_be_read(tmp_path):
    assert refused("file", tmp_path / "no.txt").got == "no such file"
    assert refused("file", write(tmp_path, "a.txt.gz", b"not packed")).where == (str(tmp_path / "a.txt.gz"),)
    assert refused("empty", []).got == "no path"
    assert refused("type", [3]).code == "type"
    (tmp_path / "nothing").mkdir()
    assert refused("empty", tmp_path / "nothing").where == (str(tmp_path / "nothing"),)


@pytest.mark.parametrize("wrong", [{"items": "words"}, {"errors": "ignore"}, {"items": "lines", "newlines": True}])
def test_wrong_arguments(tmp_path, wrong):
    with pytest.raises(ArgumentError):
        read_texts(write(tmp_path, "a.txt", "a"), **wrong)


def test_texts_hold_text():
    for items in ((), ("a", "")):
        with pytest.raises(DataError):
            Texts(items, False)
    with pytest.raises(ArgumentError):
        Texts(("a", "b"), True)
    assert Texts(("ab", "c"), False).characters == 3
