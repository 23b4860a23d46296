"""Every verb that writes, killed at random moments and before each of its file operations; the next run succeeds."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_cases
from forked import Ended, Fate, command, in_a_child
from kill_scenarios import SCENARIOS, Scenario
from tally import Tally
from whole import Torn

SHARES = {
    "review": 170,
    "export": 70,
    "model add": 50,
    "evaluate": 40,
    "assess": 30,
    "assess over an earlier result": 40,
    "embed": 30,
    "triage": 50,
    "reference build": 12,
    "reference build over an earlier one": 8,
}
"""How the kills are shared out, of 500."""


def killed(scenario: Scenario, times: int, draw: random.Random) -> Tally:
    """Kill a verb ``times`` times, each time from the same beginning, and let the next run finish.

    Half of the kills come after a random share of what an undisturbed run takes, the others before one of its file
    operations, one after the other.
    """
    tally = Tally(f"{scenario.name} killed", ("lost", "torn", "left over", "not finished", "another result"))
    scenario.begin()
    usual = _run(scenario, Fate(watched=scenario.work))
    if usual.code != 0:
        tally.found("not finished", f"undisturbed: {usual.said[-300:]}")
        return tally
    expected = scenario.result()
    step = 0
    for number in range(times):
        scenario.begin()
        if number % 2 and usual.steps:
            step = step % usual.steps + 1
            fate = Fate(step=step, watched=scenario.work)
        else:
            fate = Fate(seconds=draw.uniform(0.0, 1.05) * usual.seconds)
        ended = _run(scenario, fate)
        tally.times += 1
        tally.counts["had ended before"] += ended.code is not None
        _judge(tally, scenario.check_killed, fate)
        again = _run(scenario, Fate(), again=True)
        if again.code != 0:
            tally.found("not finished", f"after {fate}: {again.said[-300:]}")
            continue
        _judge(tally, lambda: _same(scenario, expected), fate)
        for name in scenario.leftovers():
            tally.found("left over", f"{name} after {fate}")
    return tally


def _run(scenario: Scenario, fate: Fate, *, again: bool = False) -> Ended:
    if scenario.work_itself is not None:
        return in_a_child(scenario.work_itself, fate)
    return command(scenario.words(again=again), fate)


def _same(scenario: Scenario, expected: Any) -> None:
    found = scenario.result()
    if found != expected:
        raise OtherResult(f"{found!r:.200} instead of {expected!r:.200}")


class OtherResult(Exception):
    """The run after a kill gave something else than an undisturbed one."""


def _judge(tally: Tally, check: Callable[[], None], fate: Fate) -> None:
    try:
        check()
    except Torn as error:
        tally.found("torn", f"{error} after {fate}")
    except LookupError as error:
        tally.found("lost", f"{error} after {fate}")
    except OtherResult as error:
        tally.found("another result", f"{error} after {fate}")


def main() -> int:
    """Kill each verb its share of times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500, help="how many kills in all (default: 500)")
    parser.add_argument("--only", action="append", choices=SHARES, help="only this verb; may be given several times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="killed-"))
    code = 0
    try:
        model = tiny_cases.make_model(work / "model").folder
        reference = tiny_cases.make_reference(model, work / "reference", work / "scans")
        for name in arguments.only or SHARES:
            times = max(1, round(SHARES[name] * arguments.times / sum(SHARES.values())))
            scenario = SCENARIOS[name](work / name.replace(" ", "_"), model, reference)
            code |= killed(scenario, times, random.Random(arguments.seed)).print(arguments.json)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
