"""Every function on the way to a light is made, in turn, to raise and to give back nonsense: no result may be green.

    python Testing/soak/fail_safe.py --output fail_safe.json            all functions x all faults
    python Testing/soak/fail_safe.py --output fail_safe.json --share 40 --seed 1     one fault in so many
    python Testing/soak/fail_safe.py --output fail_safe.json --only pooling          functions of one name
    python Testing/soak/fail_safe.py --output fail_safe.json --scenario nnunet --known file dicom mr
                                                            one way, and what only this one comes by

What is asked of each run, through the command line and through ``BottleneckOODLogic``: the assessment is not green, or
one of the library's own errors says why there is none; nowhere a traceback. A fault after the light is known (saving,
printing) must not change the light that is saved. The ways to a light end green without a fault, each a step of another
kind; those named unusual end amber or red, and no fault of any function may make them green.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing" / "shared"))

from faulting import STATE, Fault, faults_of, hook  # noqa: E402 - beside this file

hook(ROOT / "BottleneckOOD")

from fail_safe_cases import SCENARIOS, Scenario, stand_in_for_the_picture  # noqa: E402 - needs the hook
from light_path import OUTERMOST, is_guard, not_read, told_apart, unreached  # noqa: E402 - beside this file

AS_USUAL, TOLD_APART, SAME = "as without the fault", "beside the light", "green, the same to the digit"
REPORT_EVERY = 500
LONGEST_S = 60
ERRORS = ("RuntimeError", "MemoryError", "KeyError", "InputError", "ModelError", "ReferenceSetError")


@dataclass
class Outcome:
    """What a user saw.

    Attributes:
        light: Of the assessment that the logic gave; None where it raised.
        raised: What the logic raised, in words.
        ours: Whether that was one of the library's errors.
        saved: The light in the saved record; None where nothing was saved.
        code: Exit code of the command.
        waits: Whether it had not ended after ``LONGEST_S`` seconds.
        told: What the command wrote.
        facts: Everything that the assessment says, down to the last digit, but when it was made and how long it took.
    """

    light: str | None = None
    raised: str = ""
    ours: bool = True
    saved: str | None = None
    code: int | None = None
    waits: bool = False
    told: str = ""
    facts: str = ""


def run(scenario: Scenario, output: Path) -> Outcome:
    """One assessment, by the command line."""
    from BottleneckOODLib.cli.main import main
    from BottleneckOODLib.errors import BottleneckOODError
    from BottleneckOODLib.logic import BottleneckOODLogic

    outcome = Outcome()
    assess = BottleneckOODLogic.assess

    def watched(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            assessment = assess(self, *arguments, **named)
            outcome.light = assessment.light
            outcome.facts = _facts(assessment)
        except BaseException as error:
            outcome.raised, outcome.ours = f"{type(error).__name__}: {error}", isinstance(error, BottleneckOODError)
            raise
        finally:
            if STATE.recording:
                STATE.phase = "after"
        return assessment

    shutil.rmtree(output, ignore_errors=True)
    told = io.StringIO()
    STATE.phase = "before"
    key = STATE.fault.key if STATE.fault else ""
    apart = STATE.apart or key.startswith(("imaging.reading_process:", "imaging.volume_facts:"))
    here = () if apart else ("--trust-files",)
    BottleneckOODLogic.assess = watched  # type: ignore[method-assign]
    try:
        quiet = contextlib.redirect_stdout(told), contextlib.redirect_stderr(told)
        with quiet[0], quiet[1], _ended_in_time(outcome), scenario.around():
            outcome.code = main(["assess", str(scenario.source), "--output", str(output), *scenario.options, *here])
    except BaseException as error:
        told.write(f"Traceback: {type(error).__name__}: {error}")
    finally:
        BottleneckOODLogic.assess = assess  # type: ignore[method-assign]
    outcome.told = told.getvalue()
    records = list(output.rglob("assessment.json"))
    if records:
        outcome.saved = json.loads(records[0].read_text(encoding="utf-8"))["ood"]["light"]
    return outcome


@contextlib.contextmanager
def _ended_in_time(outcome: Outcome) -> Iterator[None]:
    """Stop what waits for a thread or a process that will never answer."""

    def stop(_signal: int, _frame: Any) -> None:
        outcome.waits = True
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _facts(assessment: Any) -> str:
    changing = {"created": "", "timings_s": {}, "peak_memory": None, "volume": None}
    digest = hashlib.sha256(repr(replace(assessment, **changing, segmentation=None, regions=None)).encode())
    mask, regions = assessment.segmentation, assessment.regions
    digest.update(b"none" if mask is None else mask.labels.tobytes())
    digest.update(b"none" if regions is None else regions.values.tobytes())
    return digest.hexdigest()


def verdict(fault: Fault, outcome: Outcome, usual: Outcome) -> str:
    """What is wrong with an outcome; empty where nothing is."""
    before = "before" in STATE.called[fault.key]
    if outcome.waits or "Traceback" in outcome.told or outcome.code is None:
        return f"has not ended after {LONGEST_S} s" if outcome.waits else f"traceback: {outcome.told[-300:]}"
    if outcome.code not in (0, 1, 2) or (outcome.code and "bottleneck-ood: " not in outcome.told):
        return f"exit code {outcome.code} without a sentence"
    if not outcome.ours and before and not (fault.key == OUTERMOST and fault.kind in ERRORS):
        return f"the logic raises {outcome.raised}"
    if before and "green" in (outcome.light, outcome.saved):
        as_usual = outcome.facts == usual.facts
        reason = (not_read(str(fault)) if as_usual else "") or told_apart(str(fault))
        return (reason and f"{AS_USUAL if as_usual else TOLD_APART}: {reason}") or (SAME if as_usual else "green")
    if outcome.saved not in (None, outcome.light) or (not before and outcome.saved not in (None, usual.saved)):
        return f"saved as {outcome.saved}"
    return ""


def set_fault(fault: Fault | None) -> None:
    """Let it come with the next run."""
    from BottleneckOODLib import errors

    STATE.fault, STATE.error, STATE.met = fault, None, 0
    if fault is not None and fault.kind in ERRORS:
        kind = getattr(errors, fault.kind, None) or getattr(__builtins__, fault.kind, None) or {
            "RuntimeError": RuntimeError, "MemoryError": MemoryError, "KeyError": KeyError}[fault.kind]  # fmt: skip
        STATE.error = lambda: kind("planted")


def recorded(scenario: Scenario, output: Path) -> Outcome:
    """The run without a fault: which functions are called, and what each gives back."""
    set_fault(None)
    STATE.recording = True
    try:
        # Once as it is, the file read in a process of its own, and once with what happens in there within reach.
        STATE.apart = True
        with stand_in_for_the_picture():
            run(scenario, output)
        STATE.apart = False
        return run(scenario, output)
    finally:
        STATE.recording = STATE.apart = False


class Counted:
    """What came of the faults."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {"green": [], "traceback": [], "other": []}
        self.counts: Counter[str] = Counter()
        self.functions: set[str] = set()
        self.started = time.monotonic()

    def plant(self, fault: Fault, scenario: Scenario, usual: Outcome, output: Path) -> None:
        """Run a case with a fault, and count what came of it; what must not be is told at once."""
        set_fault(fault)
        outcome = run(scenario, output)
        self.counts["planted" if STATE.met else "not met"] += 1
        wrong = verdict(fault, outcome, usual) if STATE.met else ""
        if wrong.startswith((AS_USUAL, TOLD_APART)):
            self.counts[wrong.partition(":")[0]] += 1
        elif wrong:
            group = next((g for g in ("green", "traceback") if wrong.startswith(g)), "other")
            self.found[group].append(f"{fault}: {wrong}")
            print(f"  {fault}: {wrong}", flush=True)
        elif STATE.met:
            already = "" if "before" in STATE.called[fault.key] else " (known before the fault)"
            self.counts[f"{outcome.light or 'error'}{already}"] += 1
        self.functions.add(fault.key)
        if (self.counts["planted"] + self.counts["not met"]) % REPORT_EVERY == 0:
            print(f"  {dict(self.counts)} ({time.monotonic() - self.started:.0f} s)", flush=True)


def main() -> int:
    """Run what is asked for, and tell the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="what was found, as JSON")
    parser.add_argument("--share", type=int, default=1, help="plant one fault in so many, drawn")
    parser.add_argument("--at-most", type=int, default=10**9, help="faults in all, drawn; the scenarios share them")
    parser.add_argument("--each", type=int, default=40, help="parts of a result that each kind of fault is planted in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only functions whose name matches this expression")
    parser.add_argument("--scenario", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS), help="ways to take")
    parser.add_argument("--known", nargs="*", default=[], choices=list(SCENARIOS),
                        help="ways taken first, without a fault: what they come by is left out")  # fmt: skip
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    counted = Counted()
    found, started = counted.found, counted.started
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.known:
            recorded(SCENARIOS[name](Path(folder) / name), Path(folder) / "out")
        left_out = set(STATE.called)
        for name in arguments.scenario:
            scenario = SCENARIOS[name](Path(folder) / name)
            known = set(STATE.called)
            usual = recorded(scenario, Path(folder) / "out")
            if usual.saved != usual.light or (usual.light == "green") != scenario.usual:
                print(f"{name}: without a fault {usual}")
                return 1
            faults = [
                fault
                for key in sorted(set(STATE.called) - (known if scenario.usual else left_out))
                if re.search(arguments.only, key) and re.search(scenario.functions, key)
                for fault in faults_of(key, list(ERRORS), arguments.each, arguments.seed)
                if not is_guard(key)
            ]
            most = min(-(-len(faults) // arguments.share), arguments.at_most // len(arguments.scenario))
            chosen = random.Random(arguments.seed).sample(faults, most)
            print(f"{name}: {len(chosen)} of {len(faults)} faults ({time.monotonic() - started:.0f} s)", flush=True)
            with stand_in_for_the_picture():
                for fault in chosen:
                    counted.plant(fault, scenario, usual, Path(folder) / "out")
                set_fault(None)
                over = run(scenario, Path(folder) / "out")
            if over.light != usual.light:
                found["other"].append(f"{name}: the case is no longer {usual.light} when the faults are over")
    before = {key for key, phases in STATE.called.items() if "before" in phases}
    found |= {
        "counts": dict(counted.counts), "functions": len(STATE.called), "before": len(before),
        "with a fault": len(counted.functions),
        "unreached": unreached(before, set(STATE.called), ROOT / "BottleneckOOD" / "BottleneckOODLib"),
        "seconds": round(time.monotonic() - started), "path": sorted(before),
    }  # fmt: skip
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for group in ("green", "traceback", "other", "unreached"):
        print(f"{group}: {len(found[group])}", *found[group][:200], sep="\n  ")
    print({key: value for key, value in found.items() if not isinstance(value, list)})
    return int(any(found[group] for group in ("green", "traceback", "other", "unreached")))


if __name__ == "__main__":
    sys.exit(main())
