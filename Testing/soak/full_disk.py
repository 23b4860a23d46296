"""Every verb that writes, on a disk that is full at many points: a plain sentence, nothing torn, nothing saved lost.

Two ways to a full disk: a small file system of its own that is filled up to some bytes (needs root, for ``mount``), and
a limit to how large a file may grow (``RLIMIT_FSIZE``, anywhere).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tiny_cases
from forked import Ended, Fate, command, in_a_child
from kill_scenarios import SCENARIOS, Scenario
from tally import Tally
from whole import Torn

VERBS = ("assess", "assess over an earlier result", "reference build over an earlier one", "triage", "review",
         "export", "model add")  # fmt: skip
LEAST_POINTS = {"reference build over an earlier one": 0.3}
_BAD = ("lost", "torn", "left over", "no plain sentence", "not finished afterwards")
_FILE_SYSTEM = "24m"


def limited(scenario: Scenario, points: int) -> Tally:
    """No file may grow beyond a limit, at ``points`` limits from nothing to the largest file that the verb writes."""
    tally = Tally(f"{scenario.name}, no file larger than a limit", _BAD)
    largest = _undisturbed(scenario, tally)
    for number in range(points if tally.sound else 0):
        limit = round(largest * number / points)
        scenario.begin()
        _judge(tally, scenario, run(scenario, Fate(file_bytes=limit)), f"files up to {limit} bytes")
    return tally


def filled(scenario: Scenario, points: int) -> Tally:
    """The disk has some bytes left, at ``points`` amounts from none to what the verb needs."""
    tally = Tally(f"{scenario.name}, full disk", _BAD)
    _undisturbed(scenario, tally)
    needed = max(4096, sum(path.stat().st_size for path in scenario.work.rglob("*") if path.is_file()))
    for number in range(points if tally.sound else 0):
        left = round(1.5 * needed * number / points)
        scenario.begin()
        ballast = _fill(scenario.work.parent, left)
        ended = run(scenario, Fate())
        ballast.unlink()
        _judge(tally, scenario, ended, f"{left} bytes left")
    return tally


def run(scenario: Scenario, fate: Fate, *, again: bool = False) -> Ended:
    """Carry out the verb, whichever way it is carried out."""
    if scenario.work_itself is not None:
        return in_a_child(scenario.work_itself, fate)
    return command(scenario.words(again=again), fate)


def _undisturbed(scenario: Scenario, tally: Tally) -> int:
    scenario.begin()
    ended = run(scenario, Fate())
    if ended.code != 0:
        tally.found("not finished afterwards", f"undisturbed: {ended.said[-300:]}")
    return max((path.stat().st_size for path in scenario.work.rglob("*") if path.is_file()), default=1)


def _judge(tally: Tally, scenario: Scenario, ended: Ended, when: str) -> None:
    tally.times += 1
    tally.counts["went well"] += ended.code == 0
    if ended.code != 0 and not is_plain(ended):
        tally.found("no plain sentence", f"{when}: {ended.code} {ended.said[-400:]}")
    try:
        scenario.check_killed()
    except Torn as error:
        tally.found("torn", f"{when}: {error}")
    except LookupError as error:
        tally.found("lost", f"{when}: {error}")
    again = run(scenario, Fate(), again=True)
    if again.code != 0:
        tally.found("not finished afterwards", f"{when}: {again.said[-300:]}")
        return
    for name in scenario.leftovers():
        tally.found("left over", f"{when}: {name}")


def is_plain(ended: Ended) -> bool:
    """Whether a refusal is the program's one sentence."""
    sentence = ended.sentence
    plain = sentence.startswith("bottleneck-ood: ") and sentence.endswith(".") and "fault of" not in sentence
    return plain and ended.code == 2 and "Traceback" not in ended.said


def _fill(folder: Path, left: int) -> Path:
    ballast = folder / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with ballast.open("wb") as stream:
        stream.write(b"\0" * max(0, free - left))
    return ballast


@contextmanager
def small_file_system(folder: Path, *options: str) -> Iterator[Path]:
    """A file system of its own in memory, mounted for the block.

    Raises:
        PermissionError: Nothing may be mounted here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ",".join((f"size={_FILE_SYSTEM}", "mode=777", *options))
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", wanted, "tmpfs", folder], check=False, capture_output=True)
    except FileNotFoundError:
        message = "there is no program to mount with"
        raise PermissionError(message) from None
    if done.returncode != 0:
        raise PermissionError(done.stderr.decode(errors="replace").strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def main() -> int:
    """Each verb at its share of the points, in both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="points of each of the two ways, in all (default: 50)")
    parser.add_argument("--only", action="append", choices=VERBS, help="only this verb; may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="full-"))
    try:
        model = tiny_cases.make_model(work / "model").folder
        reference = tiny_cases.make_reference(model, work / "reference", work / "scans")
        return run_all(model, reference, work, arguments.only or VERBS, arguments.times, arguments.json)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_all(model: Path, reference: Path, work: Path, verbs: tuple[str, ...], times: int, output: Path | None) -> int:
    """Every verb in both ways."""
    code = 0
    for name in verbs:
        points = max(1, round(times / len(verbs) * LEAST_POINTS.get(name, 1.0)))
        place = work / name.replace(" ", "_")
        code |= limited(SCENARIOS[name](place, model, reference), points).print(output)
        try:
            with small_file_system(work / "small" / name.replace(" ", "_")) as folder:
                code |= filled(SCENARIOS[name](folder, model, reference), points).print(output)
        except PermissionError as error:
            print(f"{name}: no small file system can be mounted here ({error})")
    return code


if __name__ == "__main__":
    sys.exit(main())
