"""A reader who is a program: takes the next case, rates it, and writes down at once what was acknowledged."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from BottleneckOODLib.cli.main import main

READER = "Scripted Reader"
_PAUSE_S = 0.05


def read_on(store: Path, journal: Path, ended: Path, reader: str = READER) -> int:
    """Decide on case after case until none waits and ``ended`` is there.

    The journal gets a line ``CASE`` when ``review decide`` has ended with 0, written through to the disk: what stands
    in it was acknowledged.

    Returns:
        0; anything else is a refusal that a reader must not get.
    """
    while True:
        over = ended.exists()
        if not store.exists():
            time.sleep(_PAUSE_S)
            continue
        code, said = _asked(["review", "next", "--store", str(store), "--reader", reader])
        if code:
            print(said)
            return code
        if said.startswith("No case waits"):
            if over:
                return 0
            time.sleep(_PAUSE_S)
            continue
        case = said.split("\n", 1)[0].rsplit(":", 1)[0]
        words = ["review", "decide", case, "--store", str(store), "--reader", reader]
        code, said = _asked([*words, "--rating", "minor_edit", "--note", "scripted"])
        if code == 0:
            with journal.open("a", encoding="utf-8") as stream:
                stream.write(f"{case}\n")
                stream.flush()
                os.fsync(stream.fileno())
        else:
            print(said)
            return code


def acknowledged(journal: Path) -> list[str]:
    """The cases whose decision was acknowledged; a line that a kill cut off was written after the acknowledgement."""
    if not journal.exists():
        return []
    return [line for line in journal.read_text(encoding="utf-8").split("\n")[:-1] if line]


def decided(store: Path) -> list[tuple[str, str]]:
    """Case and reader of every decision in the store, read without the program."""
    query = "SELECT c.case_id, d.reader FROM decisions d JOIN cases c ON c.number = d.\"case\" ORDER BY d.number"
    with closing(sqlite3.connect(store)) as database:
        return [(str(case), str(reader)) for case, reader in database.execute(query)]


def _asked(words: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words)
    return code, said.getvalue()
