"""Draws docs/singular-covariance.png: the published Mahalanobis distance and the shrunk one, with few cases.

    python docs/draw_singular_covariance.py [--draws 3]

Synthetic: 337 training cases, 32 directions shared by all plus noise, 75 new cases of the same kind, 75 shifted.
The published arithmetic inverts the covariance whether or not it has an inverse.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import scipy.stats

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "BottleneckOOD") not in sys.path:
    sys.path.insert(0, str(ROOT / "BottleneckOOD"))

from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis  # noqa: E402 - the checkout's library
from BottleneckOODLib.ood.mahalanobis_variants import PaperMahalanobis, PseudoInverseMahalanobis  # noqa: E402
from BottleneckOODLib.ood.metrics import auroc  # noqa: E402

CASES = 337
N_NEW = 150
FEATURES = (64, 128, 256, 320, 336, 384, 512, 768, 1536, 3072)
DETECTORS = {
    "published arithmetic": (PaperMahalanobis, "#b3261e", "--s"),
    "pseudo-inverse": (PseudoInverseMahalanobis, "#666666", ":^"),
    "shrunk (ours)": (ShrunkMahalanobis, "#0b57d0", "-o"),
}


def a_draw(d: int, seed: int, *, along: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training cases (337, d), test cases (150, d), and which of those are shifted."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(32, d))
    shifted = np.arange(N_NEW) >= N_NEW // 2
    direction = rng.normal(size=d)
    # 0.6 standard deviations of each shared direction, or four of the noise's along a direction of its own.
    shift = 0.6 * latent.sum(axis=0) if along else 4 * direction / np.linalg.norm(direction)
    train, test = (rng.normal(size=(n, 32)) @ latent + rng.normal(size=(n, d)) for n in (CASES, N_NEW))
    return train, test + shifted[:, None] * shift, shifted


def figures(draws: int) -> dict[str, list[list[float]]]:
    """For each detector: AUROC of both shifts, and how far a permutation of the features keeps the ranking."""
    found: dict[str, list[list[float]]] = {name: [[], [], []] for name in DETECTORS}
    for d in FEATURES:
        for name, (detector, _, _) in DETECTORS.items():
            values: list[list[float]] = [[], [], []]
            for seed in range(draws):
                for panel, along in enumerate((True, False)):
                    train, test, shifted = a_draw(d, seed, along=along)
                    scores = detector().fit(train).ood_score(test)
                    values[panel].append(auroc(scores, shifted))
                order = np.random.default_rng(seed).permutation(d)
                permuted = detector().fit(train[:, order]).ood_score(test[:, order])
                values[2].append(scipy.stats.spearmanr(scores, permuted).statistic)
            means = [float(np.mean(of_panel)) for of_panel in values]
            for panel, mean in enumerate(means):
                found[name][panel].append(mean)
            print(f"| {d} | {name} | {means[0]:.2f} | {means[1]:.2f} | {means[2]:.2f} |", flush=True)
    return found


def main() -> None:
    """Compute and draw."""
    parser = argparse.ArgumentParser(description="Draws docs/singular-covariance.png.")
    parser.add_argument("--draws", type=int, default=3)
    found = figures(parser.parse_args().draws)
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    titles = ("AUROC, shift along shared directions", "AUROC, shift off them", "rank agreement, features permuted")
    for panel, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for name, (_, colour, style) in DETECTORS.items():
            axis.plot(FEATURES, found[name][panel], style, color=colour, label=name, markersize=4)
        axis.axvline(CASES, color="black", linewidth=0.8)
        axis.text(CASES * 1.03, 0.02, "337 cases", transform=axis.get_xaxis_transform())
        axis.set(xscale="log", xlabel="features", title=title)
        axis.set_xticks([64, 128, 256, 768, 1536, 3072], [64, 128, 256, 768, 1536, 3072])
        axis.minorticks_off()
    axes[0].legend(loc="best", fontsize=8)
    figure.savefig(ROOT / "docs" / "singular-covariance.png", dpi=100)


if __name__ == "__main__":
    main()
