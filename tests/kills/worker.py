"""One run in a process of its own: `python -m tests.kills.worker NAME FOLDER OUT`.

OUT gets the digests of its results; of several processes, each writes its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.kills.runs import run


def out_of(out, rank):
    """Where the process of this rank writes."""
    return Path(f"{out}.{rank}")


def work(name, folder, out):
    found = run(name, folder)
    out_of(out, os.environ.get("RANK", "0")).write_text(json.dumps(found))


if __name__ == "__main__":
    work(*sys.argv[1:])
