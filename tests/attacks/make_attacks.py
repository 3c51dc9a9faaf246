"""Writes every hostile or damaged file into a folder, as NAME.CODE.KIND; CODE is that of the error that must refuse it.

python -m tests.attacks.make_attacks FOLDER
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable

from tests.attacks import file_attacks, snapshot_attacks, task_attacks
from tests.attacks.build import Attack

ATTACKS: dict[str, Callable[[], Attack]] = file_attacks.ATTACKS | task_attacks.ATTACKS
"""Model files by name."""

SNAPSHOTS: dict[str, Callable[[], Attack]] = snapshot_attacks.ATTACKS
"""Snapshots of streams by name."""


def main(folder: str) -> None:
    """Write all attacks into `folder`."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for kind, attacks in (("safetensors", ATTACKS), ("stream", SNAPSHOTS)):
        for name, make in attacks.items():
            code, raw = make()
            (target / f"{name}.{code}.{kind}").write_bytes(raw)


if __name__ == "__main__":
    main(sys.argv[1])
