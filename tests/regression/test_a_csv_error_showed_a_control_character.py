"""The csv module's own message held the delimiter as it is, so that a tab character reached the terminal."""

from pathlib import Path

import pytest

from ostinato.data import read_panel
from ostinato.errors import DataError


def test_the_message_is_printable(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('ds\ty\n"2024-01-01"x\t1\n')
    with pytest.raises(DataError) as caught:
        read_panel(path)
    assert caught.value.code == "csv"
    assert str(caught.value).isprintable()
