"""How often the guard of a new version of a reference warns of cases like its own, and refuses ones that are not.

python Testing/soak/version_guard_rates.py [--references 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tally import Tally

from BottleneckOODLib.assessment.version_guard import VersionGuard, version_guard
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.extending import extended_spaces
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.version_change import version_change

Features = dict[str, npt.NDArray[np.float64]]
N_CASES, N_ADDED, AWAY = 150, 30, 5.0


def some(n: int, rng: np.random.Generator, away: float = 0.0) -> Features:
    """Features of cases, some standard deviations away in one direction of the bottleneck."""
    features = {"bottleneck": rng.normal(size=(n, 8)), "body_layout": rng.normal(size=(n, 4))}
    features["bottleneck"][:, 0] += away
    return features


def a_reference(rng: np.random.Generator) -> Reference:
    """A reference without a map."""
    rows = some(N_CASES, rng)
    spaces = {name: FeatureSpace.fitted(name, array, ShrunkMahalanobis()) for name, array in rows.items()}
    cases = tuple(ReferenceCase(f"own-{i}") for i in range(N_CASES))
    return Reference("r", "f" * 64, cases, spaces, np.zeros((N_CASES, 2)), {})


def guard_of(reference: Reference, added: Features) -> VersionGuard:
    """What is told of adding the cases."""
    n = len(added["bottleneck"])
    each = [(f"new-{i}", {space: rows[i] for space, rows in added.items()}) for i in range(n)]
    change = version_change(reference, extended_spaces(reference, added), each, [])
    return version_guard(change, plain_facts={}, failed_own=(), failed_others=(), folders=("a", "b"))


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--references", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tally = Tally(
        f"adding {N_ADDED} cases to generated references of {N_CASES}", bad=("alike refused", "far not refused")
    )
    tally.counts["alike warned"] = 0
    for number in range(arguments.references):
        rng = np.random.default_rng(number)
        reference = a_reference(rng)
        tally.times += 1
        alike, far = guard_of(reference, some(N_ADDED, rng)), guard_of(reference, some(N_ADDED, rng, AWAY))
        tally.counts["alike warned"] += bool(alike.warnings)
        if alike.refusals:
            tally.found("alike refused", f"reference {number}: {alike.refusals[0]}")
        if not far.refusals:
            tally.found("far not refused", f"reference {number}")
    return tally.print(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
