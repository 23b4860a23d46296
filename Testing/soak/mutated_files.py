"""Mutated files through the real ways in: ``python Testing/soak/mutated_files.py --count 10000``.

Each kind of file gets its share. Not one may end this process, show a traceback, take more than 10 s or 2 GB, or be
green.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

from mutated_inputs import KINDS, MOST_BYTES, Gauntlet
from tally import Tally

ROOT = Path(__file__).resolve().parents[2]
BAD = ("crashes", "tracebacks", "green", "too long", "no sentence")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="of all kinds together")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--assess-every", type=int, default=1, help="assess one of so many that can be read")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = Path(os.environ.get("BOTTLENECK_OOD_DATA", ROOT.parent / "shared" / "data"))
    warnings.simplefilter("ignore")
    code = 0
    with tempfile.TemporaryDirectory() as work:
        for place, kind in enumerate(arguments.kinds):
            share = range(place, arguments.count, len(arguments.kinds))
            tally = Tally(f"mutated {kind}", BAD)
            gauntlet = Gauntlet(Path(work), data if data.is_dir() else None, arguments.assess_every)
            for number in range(len(share)):
                gauntlet.run(kind, arguments.first + number)
            gauntlet.close()
            outcome = gauntlet.outcome
            tally.times = len(share)
            tally.counts.update(outcome.counts)
            tally.notes += outcome.faults
            if outcome.largest > MOST_BYTES:
                tally.found("too long", f"{outcome.largest / 1e9:.1f} GB")
            tally.what += f" (slowest {outcome.slowest:.1f} s, reader up to {outcome.largest / 1e6:.0f} MB)"
            code |= tally.print(arguments.json)
    return code


if __name__ == "__main__":
    sys.exit(main())
