"""Generating from the command line: what a user sees, and what bad input becomes."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from tests.unit.cli.call import call
from tests.unit.cli.test_bad_input import refused
from tests.unit.runtime.bundle_samples import small
from tests.unit.runtime.generators import TUNES, VOCABULARIES, generator

from ostinato import Generate
from ostinato.data.inputs import write_tune
from ostinato.runtime import load
from ostinato.runtime.bundle import save
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator_file import to_bundle

TEXT = "the rain falls on the sea,\nand the wind blows.\n" * 12
QUICK = ("--units", "6", "--epochs", "1", "--bptt", "16", "--batch-size", "4")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A text, names, tunes, and a tiny generator of each kind of vocabulary."""
    folder = tmp_path_factory.mktemp("generate")
    (folder / "text.txt").write_text(TEXT, "utf-8")
    pick = random.Random(0)
    names = ["".join(pick.choice(["an", "ma", "li", "jo"]) for _ in range(3)) for _ in range(40)]
    (folder / "names.txt").write_text("\n".join(names), "utf-8")
    for i in range(4):
        (folder / f"{i}.mid").write_bytes(write_tune(TUNES[i % 2]))
    for name, vocabulary in VOCABULARIES.items():
        save(folder / f"{name.replace(' ', '_')}.model", to_bundle(generator(vocabulary), version="0.1.0"))
    return folder


def written(path, **how):
    length = how.pop("length", 500)
    return load(path).generate(how.pop("prime", ""), length=length, sampling=Sampling(**how))


def _unknown(path, prime):
    """What is said about a prime."""
    model = load(path)
    ids = model.ids(prime)[1:]
    count = model.vocabulary.count_unknown(ids)
    return f"ostinato: note: the model does not know {count} of the prime's {len(ids)} symbols.\n" if count else ""


@pytest.mark.parametrize("name", ["characters", "names", "bytes", "words", "words_of_items", "subwords"])
def test_text_is_shown_as_python_writes_it(name, place):
    path = place / f"{name}.model"
    done = call("generate", path, "--prime", "the ", "-n", "40", "--seed", "2", "-t", "0.9", "--top-k", "5")
    assert (done.code, done.err) == (0, _unknown(path, "the "))
    want = written(path, prime="the ", length=40, seed=2, temperature=0.9, top_k=5)
    assert done.out == want + "\n"
    searched = call("generate", path, "-p", "the ", "-n", "5", "--beam", "3")
    assert searched.out == load(path).beams("the ", length=5, width=3)[0].text + "\n"


@pytest.mark.parametrize("name", ["characters", "names"])
def test_several_texts_are_drawn_with_seeds_that_follow_each_other(name, place, tmp_path):
    path, out = place / f"{name}.model", tmp_path / "out.txt"
    wanted = [written(path, length=9, seed=seed) for seed in (7, 8, 9)]
    words = ("generate", path, "-n", "9", "--seed", "7", "--count", "3")
    assert call(*words).out == "".join(text + "\n" for text in wanted)
    assert call(*words, "--out", out).code == 0
    assert out.read_text() == "\n".join(wanted)
    assert len(call(*words[:4], "-c", "9", "-t", "2").out.splitlines()) >= 9
    refused(call(*words, "--beam", "2"), word="count must be 1")
    refused(call(*words[:-1], "0"), word="at least 1")
    refused(call("generate", place / "midi.model", "-c", "2", "-o", tmp_path / "a.mid"), word="count must be 1")


def test_words_that_a_model_does_not_know_are_counted(place, tmp_path):
    path, text = place / "words.model", tmp_path / "text.txt"
    known = load(path).vocabulary.decode([1])
    done = call("generate", path, "--prime", f"xyzzy{known} plugh", "-n", "3", "--seed", "1")
    assert (done.code, done.err) == (0, "ostinato: note: the model does not know 2 of the prime's 4 symbols.\n")
    text.write_text(f"{known}xyzzy", "utf-8")
    assert "1 of them unknown" in call("evaluate", path, text).out
    text.write_text(known, "utf-8")
    assert "unknown" not in call("evaluate", path, text).out


def test_a_prime_comes_through_standard_input(place):
    path = place / "characters.model"
    words = ("generate", path, "--prime", "-", "-n", "30", "--seed", "1")
    want = call("generate", path, "--prime", "the rain\n", "-n", "30", "--seed", "1")
    assert want.code == 0
    for reads in (b"the rain\n", b"the rain\r\n", b"\xef\xbb\xbfthe rain\n"):
        assert call(*words, reads=reads) == want
    refused(call(*words), code="empty]", word="--prime")
    refused(call(*words, reads=b"the\n\nr\xe4in"), code="encoding]", word="byte 6 (line 3) of standard input")
    refused(call(*words, reads="the".encode("utf-16")), code="encoding]", word="UTF-16")
    refused(call(*words, reads="the Ω".encode()), code="unknown_symbol]", word="character 4")
    refused(call(*words[:2], "--prime", os.fsdecode(b"the \xe4")), code="encoding]", word="byte 4")
    assert call(*words[:2], "-n", "5", "--prime=-", reads=b"-").code == 2  # a model without that symbol


def test_a_tune_comes_through_standard_input(place, tmp_path):
    path, data = place / "midi.model", (place / "0.mid").read_bytes()
    for prime, reads in ((place / "0.mid", b""), ("-", data)):
        out = tmp_path / f"{len(reads)}.mid"
        assert call("generate", path, "-p", prime, "-n", "9", "--seed", "1", "-o", out, reads=reads).code == 0
    assert out.read_bytes() == (tmp_path / "0.mid").read_bytes()
    refused(call("generate", path, "-p", "-", "-o", tmp_path / "no.mid", reads=data[:-4]), code="midi]")


def test_a_file_gets_exactly_the_text(place, tmp_path):
    path, out = place / "characters.model", tmp_path / "out.txt"
    out.write_text("old and longer than what follows" * 90)
    assert call("generate", path, "-n", "30", "--seed", "1", "--out", out) == (0, "", "", False)
    assert out.read_bytes() == written(path, length=30, seed=1).encode()
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_fit_generate_evaluate(place, tmp_path):
    out = tmp_path / "m.safetensors"
    done = call("fit", "generate", place / "text.txt", *QUICK, "--seed", "3", "--out", out)
    assert done.code == 0
    assert [line.split(" epoch ")[0] for line in done.err.splitlines()] == ["network"]
    assert "bits a character" in done.out
    assert f"--out {out}" in (tmp_path / "m.html").read_text()
    task = Generate.load(out)
    assert call("generate", out, "-t", "0").out == task.predict() + "\n"
    known = call("evaluate", out, place / "text.txt")
    assert known.code == 0
    assert known.out == call("evaluate", out, place / "text.txt").out
    assert float(known.out.split()[0]) == pytest.approx(-task.score(str(place / "text.txt")), abs=1e-4)


def test_names_one_a_line(place, tmp_path):
    out = tmp_path / "n"
    assert call("fit", "generate", place / "names.txt", "--items", "lines", *QUICK, "--out", out, "-q").code == 0
    assert load(out).vocabulary.items
    assert "\n" not in call("generate", out, "--seed", "1").out[:-1]


def test_music(place, tmp_path):
    tunes = [place / f"{i}.mid" for i in range(4)]
    assert call("fit", "generate", *tunes, *QUICK, "--out", tmp_path / "t", "-q").code == 0
    assert call("generate", tmp_path / "t", "--seed", "1", "-n", "50", "-o", tmp_path / "new.mid").code == 0
    assert (tmp_path / "new.mid").read_bytes() == written(tmp_path / "t", seed=1, length=50)
    assert call("generate", tmp_path / "t", "-p", tunes[0], "-o", tmp_path / "more.mid").code == 0
    assert "bits a character" not in call("evaluate", tmp_path / "t", *tunes).out
    before = (tmp_path / "new.mid").read_bytes()
    (place / "bad.mid").write_bytes(before[:-20])
    refused(call("generate", tmp_path / "t"), word="file")
    refused(call("generate", tmp_path / "t", "-p", "no.mid", "-o", tmp_path / "new.mid"), code="file]")
    refused(call("generate", tmp_path / "t", "-p", place / "bad.mid", "-o", tmp_path / "new.mid"), code="midi]")
    refused(call("fit", "generate", *tunes, place / "bad.mid", *QUICK, "--out", tmp_path / "u"), code="midi]")
    assert (tmp_path / "new.mid").read_bytes() == before
    assert not (tmp_path / "u").exists()
    (place / "bad.mid").unlink()


BAD_OPTIONS = [
    ("--length", "0"), ("--length", "-1"), ("--length", "many"), ("--length", "1.5"), ("--temperature", "-1"),
    ("--temperature", "nan"), ("--temperature", "inf"), ("--temperature", "hot"), ("--top-k", "-1"), ("--top-k", "x"),
    ("--top-p", "0"), ("--top-p", "1.1"), ("--top-p", "nan"), ("--repetition-penalty", "0"), ("--seed", "-1"),
    ("--seed", "x"), ("--beam", "-1"), ("--beam", "5000"), ("--beam", "x"), ("--sha256", "0" * 64), ("--nonsense",),
    ("--prime", "the Ω"), ("--prime",), ("more",),
]  # fmt: skip


@pytest.mark.parametrize("words", BAD_OPTIONS, ids=" ".join)
def test_generate_refuses_a_bad_option(words, place, tmp_path):
    out = tmp_path / "out.txt"
    out.write_text("old")
    refused(call("generate", place / "characters.model", *words))
    refused(call("generate", place / "characters.model", "--out", out, *words))
    assert out.read_text() == "old"


def test_unknown_symbols_are_named_with_a_remedy(place, tmp_path):
    (tmp_path / "other.txt").write_text("the seaß and Ωß", "utf-8")
    for done in (
        call("generate", place / "characters.model", "-p", "the seaß and Ωß"),
        call("evaluate", place / "characters.model", tmp_path / "other.txt"),
    ):
        refused(done, code="unknown_symbol]", word="'ß' (U+00DF), 'Ω' (U+03A9) (3 times) at character 7")
        assert "--symbols bytes to fit" in done.err
    (tmp_path / "names.txt").write_text("sea\nseß\n", "utf-8")
    refused(call("evaluate", place / "names.model", tmp_path / "names.txt"), word="character 2 of text 2")


FILES = {
    "bad.txt": (b"abc\n\nd\xff" * 40, "encoding", "byte 6 (line 3)"),
    "empty.txt": (b"", "empty", "empty.txt"),
    "one.txt": (b"a", "short", ""),
    "few.txt": (b"ab", "short", "--batch-size 1"),
    "bad.mid": (b"MThd" + bytes(9), "midi", "bad.mid"),
    "model": (b"\x80\x04\x95" * 90, "format", "a pickle"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_learnt(name, tmp_path):
    data, code, word = FILES[name]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "m.safetensors").write_bytes(b"old")
    files = [tmp_path / name] if name != "bad.mid" else [tmp_path]
    refused(call("fit", "generate", *files, *QUICK, "--out", tmp_path / "m.safetensors"), code=f"{code}]", word=word)
    assert (tmp_path / "m.safetensors").read_bytes() == b"old"
    assert {p.name for p in tmp_path.iterdir()} == {name, "m.safetensors"}


def test_what_is_no_text(place, tmp_path):
    out = tmp_path / "m"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.md").write_text(TEXT)
    refused(call("fit", "generate", tmp_path / "folder", "--out", out), code="empty]", word=".txt")
    refused(call("fit", "generate", tmp_path / "none.txt", "--out", out), code="file]", word="none.txt")
    refused(call("fit", "generate", place / "text.txt", place / "text.txt", "--out", out), code="duplicate]")
    refused(call("fit", "generate", "--out", out), code="argument]")
    refused(call("evaluate", place / "characters.model", tmp_path / "folder"), code="empty]")
    table = ("--out", tmp_path / "p.csv")
    refused(call("evaluate", place / "characters.model", place / "text.txt", *table), word="forecasts")
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [("--symbols", "letters"), ("--items", "words"), ("--valid", "1"), ("--valid", "0"), ("--bptt", "-1"),
     ("--tied", "--embedding", "5"), ("--dropout", "1"), ("--members", "3"), ("--memory", "all"), ("--size", "5")],
    ids=" ".join,
)  # fmt: skip
def test_fit_refuses_a_bad_option(words, place, tmp_path):
    refused(call("fit", "generate", place / "text.txt", *QUICK, *words, "--out", tmp_path / "m"))
    assert not list(tmp_path.iterdir())


def test_checkpoints_of_another_run_and_damaged_ones(place, tmp_path):
    where = ("--out", tmp_path / "m", "--checkpoint", tmp_path / "c")
    words = ("fit", "generate", place / "text.txt", *QUICK, *where, "-q")
    assert call(*words, "--every", "0").code == 0
    (tmp_path / "m").unlink()
    refused(call(*words, "--units", "7"), code="checkpoint_mismatch]", word="units")
    for path in (tmp_path / "c").iterdir():
        if path.is_file() and path.stat().st_size:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    done = call(*words)
    assert done.code == 3
    assert done.err.startswith("ostinato: [checkpoint_damaged]")
    assert not (tmp_path / "m").exists()


def test_models_of_other_tasks(place, tmp_path, csv, model):
    generating = place / "characters.model"
    for words in ((), (csv,)):
        refused(call("predict", generating, *words), code="task]", word="ostinato generate")
    refused(call("generate", model), code="task]", word="ostinato predict")
    save(tmp_path / "s", small())
    refused(call("generate", tmp_path / "s"), code="task]", word="Sequential")
    refused(call("generate", place / "text.txt"), code="unsupported_format]")
    refused(call("generate", tmp_path / "none"), code="read]")


def test_places_that_cannot_be_written(place, tmp_path):
    path = place / "characters.model"
    before = path.read_bytes()
    for out in (tmp_path, tmp_path / "no" / "x", path, tmp_path / ("m" * 300), "/"):
        refused(call("generate", path, "-n", "3", "--out", out))
    assert path.read_bytes() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(place):
    line = "ostinato: [file] the operating system refused: No space left on device"
    done = call("generate", place / "characters.model", "-n", "3", "--out", "/dev/full")
    assert done.err.startswith(line)
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "ostinato", "generate", str(place / "characters.model"), "-n", "3"]
        shown = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert shown.returncode == 2
    assert shown.stderr.startswith(line)
    assert shown.stderr.count("\n") == 1


def test_text_comes_while_it_is_drawn_and_a_closed_pipe_ends_it_quietly(place):
    words = [sys.executable, "-m", "ostinato", "generate", str(place / "characters.model"), "-n", "100000000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(2000)) == 2000
        process.stdout.close()
        process.wait(60)
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_generate_imports_no_torch(place):
    code = (
        "import sys; sys.argv = ['ostinato', 'generate', sys.argv[1], '-n', '5']\n"
        "from ostinato.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: assert not {'torch', 'polars', 'matplotlib', 'tokenizers'} & set(sys.modules)"
    )
    for name in ("characters", "subwords"):
        words = [sys.executable, "-c", code, str(place / f"{name}.model")]
        subprocess.run(words, capture_output=True, text=True, check=True)
