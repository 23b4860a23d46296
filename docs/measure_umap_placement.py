"""Prints the table of docs/method.md on UMAP: fitted jointly, case by case, and with the placement residual.

    python docs/measure_umap_placement.py [--draws 3]

Synthetic: 337 training cases of 768 features with 48 shared directions and noise; 50 new cases of the same kind, and 50
or 5 failed ones, all shifted in one way or each in a way of its own. The score is the distance to the 32nd neighbour.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "BottleneckOOD") not in sys.path:
    sys.path.insert(0, str(ROOT / "BottleneckOOD"))

from BottleneckOODLib.evaluation.scoring import score_task  # noqa: E402 - the checkout's library
from BottleneckOODLib.evaluation.settings import DEPLOYABLE, PAPER, Settings, Task  # noqa: E402
from BottleneckOODLib.ood.metrics import auroc  # noqa: E402

CASES, FEATURES, DIRECTIONS, USUAL = 337, 768, 48, 50
NEIGHBOURS = 32
COMPONENTS = (2, 32)


def a_draw(seed: int, n_failed: int, *, together: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training cases (337, 768), test cases (50 + n_failed, 768), and which of those have failed."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(DIRECTIONS, FEATURES))
    sizes = (CASES, USUAL + n_failed)
    train, test = (rng.normal(size=(n, DIRECTIONS)) @ latent + 3 * rng.normal(size=(n, FEATURES)) for n in sizes)
    failed = np.arange(len(test)) >= USUAL
    moved = rng.normal(size=(1 if together else n_failed, FEATURES))
    test[failed] += 90 * moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return train, test, failed


def aurocs(train: np.ndarray, test: np.ndarray, failed: np.ndarray, seed: int) -> dict[str, float]:
    """AUROC of each way of scoring."""
    found: dict[str, float] = {}
    for mode in (PAPER, DEPLOYABLE):
        settings = Settings(mode=mode, detectors=("knn",))
        tasks = [Task("umap", {"n_components": n}, seed) for n in COMPONENTS]
        for task in [Task("none"), *tasks] if mode == DEPLOYABLE else tasks:
            for scored in score_task(task, settings, train, test, (NEIGHBOURS,), ()):
                name = {"knn_placed": "alone, with residual", "knn": "joint" if mode == PAPER else "alone"}
                where = "no map" if task.reducer == "none" else f"UMAP {task.parameters['n_components']}"
                found[f"{where}, {name[scored.configuration.detector]}"] = auroc(scored.scores, failed)
    return found


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3, help="draws that are averaged (default: 3)")
    draws = parser.parse_args().draws
    columns = [f"UMAP {n}, {how}" for n in COMPONENTS for how in ("joint", "alone", "alone, with residual")]
    columns.append("no map, alone")
    sys.stdout.write(f"| failed cases | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}\n")
    for n_failed in (50, 5):
        for together in (True, False):
            each = [aurocs(*a_draw(seed, n_failed, together=together), seed) for seed in range(draws)]
            values = [[one[name] for one in each] for name in columns]
            cells = [f"{np.mean(own):.2f} ({min(own):.2f}-{max(own):.2f})" for own in values]
            kind = "shifted alike" if together else "each in its own way"
            sys.stdout.write(f"| {n_failed}, {kind} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
