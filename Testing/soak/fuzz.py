"""Coverage-guided fuzzing of our own parsers: ``python Testing/soak/fuzz.py TARGET --seconds N``.

``TARGET`` is a name of ``Testing/shared/parser_targets.py``, or ``all`` for each in turn. What a parser raises on
purpose is swallowed there; anything else is a fault: it is written down once per place, and the run goes on. The corpus
begins with what the repository holds and, where ``--keep`` is given, ends as the smallest set of inputs that reaches
the same code.

Needs atheris (the extra ``soak``; Linux, Python 3.11 or newer).
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
CORPUS = ROOT / "Testing" / "hostile" / "corpus"
MOST_BYTES = 4096
"""Of one input that is kept: long ones say nothing that a short one does not."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="leave the minimised corpus in the repository")
    parser.add_argument("--faults", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-faults")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments, options = parser.parse_known_args()
    sys.path[:0] = [str(ROOT / "BottleneckOOD"), str(ROOT / "Testing" / "shared")]
    if arguments.in_this_process:
        run_here(arguments.target, arguments.faults, options)
        return 0
    if options:
        parser.error(f"unknown: {' '.join(options)}")
    import parser_targets

    names = list(parser_targets.TARGETS) if arguments.target == "all" else [arguments.target]
    return sum(fuzz(name, arguments) for name in names) > 0


def fuzz(name: str, arguments: argparse.Namespace) -> int:
    """Fuzz one target in a process of its own, and count the faults."""
    kept, faults = CORPUS / name, arguments.faults / name
    with tempfile.TemporaryDirectory() as work:
        working, smallest = Path(work) / "corpus", Path(work) / "smallest"
        for folder in (working, smallest, kept, faults):
            folder.mkdir(parents=True, exist_ok=True)
        limits = ["-timeout=10", "-rss_limit_mb=2048", f"-max_len={MOST_BYTES}", f"-artifact_prefix={faults}/hard-"]
        fuzzer = [sys.executable, str(HERE), name, "--faults", str(arguments.faults), "--in-this-process"]
        ran = subprocess.run(
            [*fuzzer, str(working), str(kept), f"-max_total_time={arguments.seconds}", "-print_final_stats=1", *limits],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        facts = dict(
            line[6:].split(":", 1) for line in ran.stderr.splitlines() if line.startswith("stat::") and ":" in line[6:]
        )
        runs = facts.get("number_of_executed_units", "?").strip()
        if ran.returncode != 0:
            print(ran.stderr[-3000:], file=sys.stderr)
        if arguments.keep and ran.returncode == 0:
            subprocess.run(
                [*fuzzer, "-merge=1", str(smallest), str(kept), str(working), *limits],
                stderr=subprocess.DEVNULL,
                check=True,
            )
            keep(smallest, kept)
    found = sorted(faults.iterdir())
    print(f"{name}: {runs} inputs in {arguments.seconds} s, {len(found)} fault(s), {len(list(kept.iterdir()))} kept")
    for path in found:
        print(f"  {path}")
    return len(found) + (ran.returncode != 0 and not found)


def keep(smallest: Path, kept: Path) -> None:
    """What is there becomes what is needed; names tell nothing but the content."""
    from parser_targets import digest

    contents = [path.read_bytes() for path in smallest.iterdir()]
    if not contents:
        return
    for path in kept.iterdir():
        path.unlink()
    for content in contents:
        (kept / digest(content)).write_bytes(content)


def run_here(name: str, faults: Path, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["BottleneckOODLib", "json", "csv"]):
        import parser_targets

    from mutations import mutated_json, mutated_nifti, mutated_tensors, mutated_text_header

    changes = dict.fromkeys(("assessment", "decisions", "protocol", "model", "reference", "bundle"), mutated_json)
    changes |= {"nifti": mutated_nifti, "tensors": mutated_tensors}
    change = (changes | dict.fromkeys(("nrrd", "meta"), mutated_text_header)).get(name)
    target = parser_targets.TARGETS[name]
    seen: set[str] = set()

    def one(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            frames = [
                f"{Path(frame.filename).name}:{frame.lineno}"
                for frame in traceback.extract_tb(error.__traceback__)
                if "BottleneckOOD" in frame.filename or frame.filename == parser_targets.__file__
            ]
            where = f"{type(error).__name__} at {frames[-1] if frames else '?'}"
            if where not in seen:
                seen.add(where)
                path = faults / name / parser_targets.digest(where.encode())
                path.write_bytes(data)
                path.with_suffix(".json").write_text(json.dumps({"where": where, "text": traceback.format_exc()}))

    def in_form(data: bytes, most: int, seed: int) -> bytes:
        """Half of the changes keep the form, so that they get past its reader; the others are the fuzzer's own."""
        rng = random.Random(seed)
        changed = change(data, rng) if rng.random() < 0.5 else atheris.Mutate(data, most)
        return bytes(changed[:most])

    # The fuzzer starts itself again where it merges a corpus, with a shell.
    again = shlex.join([sys.executable, str(HERE), name, "--faults", str(faults), "--in-this-process"])
    atheris.Setup([again, *options], one, **({} if change is None else {"custom_mutator": in_form}))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
