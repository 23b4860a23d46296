"""Mutation testing of the code that measures, scores, calibrates and sets the light.

    python Testing/soak/mutants.py ood --output mutants-ood.json
    python Testing/soak/mutants.py light assessment/checks.py --output mutants-checks.json

Each mutant runs in a fork of one process in which the tests are collected and have run once; of them run those that
came by the mutated lines, the fastest first, until one fails. What survives is listed, unless
``judged_mutants.json`` beside this file names it with the reason why no test can tell it from the program as it is.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from _pytest.warnings import catch_warnings_for_item
from mutating import Mutant, mutants_of, put_in

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "BottleneckOOD" / "BottleneckOODLib"


@dataclass(frozen=True)
class Suite:
    """Files to mutate, and the tests that are to notice.

    Attributes:
        targets: The files, from the library's folder.
        tests: From the repository's root.
        fixtures: Files of fixtures that stand in for every ``conftest.py``: those would bring PyTorch, and a fork of a
            process without it costs a tenth. None takes them all the same.
    """

    targets: tuple[str, ...]
    tests: tuple[str, ...]
    fixtures: tuple[str, ...] | None = ()


def _named(names: str, form: str) -> tuple[str, ...]:
    return tuple(form.format(name) for name in names.split())


SUITES = {
    "ood": Suite(
        _named("mahalanobis knn calibration standardising pooling pca false_alarms drift upper_tail", "ood/{}.py"),
        _named("contracts/test_detectors.py contracts/test_scores.py unit/ood", "Testing/{}"),
    ),
    "light": Suite(
        _named("logic reference/scoring reference/feature_space assessment/checks assessment/wording", "{}.py"),
        _named(
            "test_judging reference/test_scoring reference/test_feature_space reference/test_two_questions "
            "reference/test_not_comparable "
            "assessment/test_checks assessment/test_checks_at_the_limits assessment/test_field_of_view "
            "assessment/test_wording assessment/test_outcome ../contracts/test_detectors",
            "Testing/unit/{}.py",
        ),
        ("Testing/unit/reference/conftest.py",),
    ),
    "told": Suite(
        _named("reference/outcomes assessment/finite assessment/outcome assessment/assessment", "{}.py"),
        _named(
            "reference/test_outcomes assessment/test_finite assessment/test_outcome assessment/test_assessment "
            "assessment/test_regions",
            "Testing/unit/{}.py",
        ),
        None,
    ),
    "outputs": Suite(
        ("ood/output_scores.py",),
        _named("test_output_scores test_output_confidence", "Testing/unit/ood/{}.py"),
    ),
    "measured": Suite(
        _named("mask_features body brightness volume", "imaging/{}.py"),
        _named("mask_features body body_at_the_limits brightness volume", "Testing/unit/imaging/test_{}.py"),
        None,
    ),
    "fitted": Suite(
        _named("outcome_fitting building extending version_change cases_file", "reference/{}.py"),
        _named(
            "reference/test_outcomes reference/test_building reference/test_extending reference/test_cases_file "
            "reference/test_two_questions assessment/test_version_guard",
            "Testing/unit/{}.py",
        ),
        ("Testing/unit/reference/conftest.py",),
    ),
    "chosen": Suite(
        ("reference/rechoosing.py",),
        _named("reference/test_rechoosing robustness/test_judging", "Testing/unit/{}.py"),
        None,
    ),
    "prepared": Suite(
        _named("preprocessing intensity", "model/{}.py"),
        _named(
            "preprocessing preprocessing_at_the_limits intensity intensity_at_the_limits",
            "Testing/unit/model/test_{}.py",
        ),
        None,
    ),
    "placed": Suite(
        _named("restoring organ", "model/{}.py"),
        _named("test_restoring test_way_back test_preprocessing test_organ", "Testing/unit/model/{}.py"),
        None,
    ),
}
# Of files that do other things too, what judges a case.
_ONLY = {"logic.py": ("assess", "_assessed", "_judged", "_outcome", "_grey", "_facts", "_check_finite")}
JUDGED = Path(__file__).with_name("judged_mutants.json")
# Of processor time, so that a busy computer kills no mutant; of time by the clock, for one that waits for ever.
_LEAST_S, _TIMES_AS_LONG, _MOST_S, _WAITING_S = 10.0, 3.0, 120.0, 1200.0


_ENDLESS = "killed: it never ended"


class Driver:
    """Takes the place of pytest's loop.

    Args:
        targets: The files to mutate.
        output: Where the outcome of each mutant goes.
        known: Mutants that are not run, with the outcome that they are given.
    """

    def __init__(self, targets: list[str], output: Path, known: dict[tuple[str, ...], str]) -> None:
        self._targets = {str(LIBRARY / target): target for target in targets}
        self._output = output
        self._known = known
        self._seen: dict[str, dict[int, set[int]]] = {path: defaultdict(set) for path in self._targets}
        self._texts: dict[int, str] = {}
        self._seconds: list[float] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once, then every mutant."""
        self._run_all(session)
        results = []
        for path, target in self._targets.items():
            module = importlib.import_module("BottleneckOODLib." + target[:-3].replace("/", "."))
            started = time.monotonic()
            only = _ONLY.get(target)
            for mutant in mutants_of(Path(path)):
                if only is not None and mutant.function.rpartition(".")[2] not in only:
                    continue
                result = {
                    "file": target, "line": mutant.line, "function": mutant.function,
                    "was": mutant.was, "becomes": mutant.becomes,
                }  # fmt: skip
                result["outcome"] = self._known.get(_key(result)) or self._outcome_of(session, path, mutant, module)
                results.append(result)
                self._output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            counts = Counter(r["outcome"].split(":")[0] for r in results if r["file"] == target)
            print(f"\n{target}: {dict(counts)} in {time.monotonic() - started:.0f} s", flush=True)
        return True

    def _run_all(self, session: pytest.Session) -> None:
        items, texts = session.items, dict[Path, str]()
        for number, item in enumerate(items):
            self._texts[number] = texts.setdefault(item.path, item.path.read_text(encoding="utf-8"))
            started = time.process_time()
            sys.settrace(self._tracing(number))
            try:
                failed = _failed(item, items[(number + 1) % len(items)])
            finally:
                sys.settrace(None)
            self._seconds.append(time.process_time() - started)
            if failed:
                # It needs what this process does not have; it cannot tell a mutant.
                print(f"left out: {item.nodeid}")
                del self._texts[number]
                for tests in (tests for lines in self._seen.values() for tests in lines.values()):
                    tests.discard(number)

    def _tracing(self, number: int) -> Any:
        def on_line(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "line":
                self._seen[frame.f_code.co_filename][frame.f_lineno].add(number)
            return on_line

        return lambda frame, _event, _argument: on_line if frame.f_code.co_filename in self._seen else None

    def _outcome_of(self, session: pytest.Session, path: str, mutant: Mutant, module: Any) -> str:
        tests = self._tests_for(path, mutant)
        return self._outcome(session, mutant, module, tests) if tests else "no test"

    def _tests_for(self, path: str, mutant: Mutant) -> list[int]:
        lines = self._seen[path]
        if mutant.at_import:
            # Whatever comes by a line that uses the constant, in any of the files, or else by the file at all.
            name = mutant.function.rpartition(".")[2]
            users = [n for other, seen in self._seen.items() for line in _lines_with(other, name) for n in seen[line]]
            found = set(users) or {n for tests in lines.values() for n in tests}
            # And the tests of every file that names it or its module.
            dotted = self._targets[path][:-3].replace("/", ".")
            found |= {number for number, text in self._texts.items() if name in text or f"Lib.{dotted} " in text}
        else:
            found = set(lines[mutant.line])
            if not found:
                # A statement over several lines is reported at one of them.
                found = set().union(*(lines[near] for near in range(mutant.line - 3, mutant.line + 3)))
        return sorted(found, key=self._seconds.__getitem__)

    def _outcome(self, session: pytest.Session, mutant: Mutant, module: Any, tests: list[int]) -> str:
        limit = min(_MOST_S, _LEAST_S + _TIMES_AS_LONG * sum(self._seconds[n] for n in tests))
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.close(reading)
            for number, timer, seconds in (
                (signal.SIGPROF, signal.ITIMER_PROF, limit), (signal.SIGALRM, signal.ITIMER_REAL, _WAITING_S)
            ):  # fmt: skip
                signal.signal(number, signal.SIG_DFL)
                signal.setitimer(timer, seconds)
            told = "survived"
            try:
                told = _run_in_child(session, mutant, module, tests)
            finally:
                os.write(writing, told.encode())
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            told = stream.read().decode()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            return "waited: neither noticed nor ended"
        return told or _ENDLESS


def _run_in_child(session: pytest.Session, mutant: Mutant, module: Any, tests: list[int]) -> str:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if not put_in(mutant, module):
        return "killed: it cannot be imported"
    for place, number in enumerate(tests):
        item = session.items[number]
        session._setupstate.teardown_exact(item)
        following = session.items[tests[place + 1]] if place + 1 < len(tests) else item
        if _failed(item, following):
            return f"killed: {item.nodeid}"
    return "survived"


def _failed(item: pytest.Item, following: pytest.Item) -> bool:
    with catch_warnings_for_item(config=item.config, ihook=item.ihook, when="runtest", item=item):
        return any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _lines_with(path: str, name: str) -> list[int]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    named = (node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))
    return [node.lineno for node in named if name in (getattr(node, "id", ""), getattr(node, "attr", ""))]


def summary(results: list[dict[str, Any]], judged: list[dict[str, str]]) -> str:
    """A line a file, the survivors that nobody has judged, and the judgements that no survivor needs any more.

    Args:
        results: The outcome of each mutant.
        judged: Survivors with the reason why each may survive. Known by their text, so that lines may shift.
    """
    known = {_key(entry) for entry in judged}
    left = [r for r in results if not r["outcome"].startswith("killed")]
    lines = [f"{'file':30} mutants        killed judged not noticed"]
    targets = list(dict.fromkeys(r["file"] for r in results))
    for target in [*targets, "all"]:
        n, survived = (sum(target in (r["file"], "all") for r in rows) for rows in (results, left))
        told = sum(target in (r["file"], "all") and _key(r) in known for r in left)
        killed = f"{n - survived} ({100 * (1 - survived / max(1, n)):.1f}%)"
        lines.append(f"{target:30} {n:7} {killed:>13} {told:6} {survived - told:11}")
    for r in left:
        if _key(r) not in known:
            lines.append(f"{r['outcome']}: {r['file']}:{r['line']} {r['function']}\n    {r['was']}\n    {r['becomes']}")
    needed = {_key(r) for r in left}
    for entry in judged:
        if entry["file"] in targets and _key(entry) not in needed:
            lines.append(f"judged and not needed: {entry['file']} {entry['function']}\n    {entry['becomes']}")
    return "\n".join(lines)


def _key(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry[part]) for part in ("file", "function", "was", "becomes"))


def _loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leave_out_the_map() -> None:
    """It takes seconds to fit, and no light depends on it."""
    from BottleneckOODLib.reference import building, extending

    building.fit_map = extending.fit_map = lambda features, seed=0: features[:, :2] + seed  # type: ignore[assignment]


def main() -> int:
    """Run the mutants of the files that are given, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("files", nargs="*", help="such as ood/knn.py (default: all of the suite)")
    parser.add_argument("--output", type=Path, required=True, help="the outcome of each mutant, as JSON")
    parser.add_argument("--judged-too", action="store_true", help="run what is judged as well, in case a test notices")
    parser.add_argument("--again", action="store_true", help="run only what no test noticed so far")
    parser.add_argument("--show", action="store_true", help="only tell what an output says")
    arguments = parser.parse_intermixed_args()
    judged = json.loads(JUDGED.read_text(encoding="utf-8"))
    if not arguments.show:
        sys.path.insert(0, str(LIBRARY.parent))
        os.chdir(ROOT)
        suite = SUITES[arguments.suite]
        targets = arguments.files or list(suite.targets)
        options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-o", "timeout=0", "--hypothesis-seed=0"]
        options += [] if suite.fixtures is None else ["--noconftest"]
        modules = [f"BottleneckOOD/BottleneckOODLib/{target}" for target in targets]
        _leave_out_the_map()
        known = {} if arguments.judged_too else dict.fromkeys(map(_key, judged), "survived: judged before")
        earlier = json.loads(arguments.output.read_text(encoding="utf-8")) if arguments.again else []
        known |= {
            _key(r): r["outcome"] for r in earlier if r["outcome"].startswith("killed") and r["outcome"] != _ENDLESS
        }
        plugins = [Driver(targets, arguments.output, known), *map(_loaded, suite.fixtures or ())]
        pytest.main([*options, *suite.tests, *modules], plugins=plugins)
    print(summary(json.loads(arguments.output.read_text(encoding="utf-8")), judged))
    return 0


if __name__ == "__main__":
    sys.exit(main())
