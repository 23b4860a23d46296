"""The grid of the paper against a plain statement of the published procedure, in one run; and 100,000 references.

The plain statement computes a distance matrix and sorts it in Python for each k and seed, fits PCA anew each time, and
inverts the whole covariance. It would take minutes to hours, so a documented part of it is timed and multiplied:
of the eight k and five seeds of a configuration one pair (they cost the same). The inverse at 20,736 features is left
out of both sides: it needs 3.4 GB twice, and hours.

Usage: python Testing/benchmarks/bench_evaluate.py [--train 337 --test 352 --shape 768 3 3 3] [--archive 100000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from scipy.spatial.distance import cdist
from sklearn import decomposition, metrics, preprocessing

from BottleneckOODLib.evaluation.scoring import LARGEST_INVERSE, score_task
from BottleneckOODLib.evaluation.settings import POWERS, Settings, Task
from BottleneckOODLib.ood.average_pooling import DIMENSIONS, PAPER_GRID, AveragePooling
from BottleneckOODLib.ood.failure_metrics import failure_metrics, stratified_weights
from BottleneckOODLib.ood.large_reference import LargeNearestNeighbours

SEEDS = 5


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def synthetic(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    latent = np.random.default_rng(99).normal(size=(32, size))
    return (rng.normal(size=(n, 32)) @ latent + rng.normal(size=(n, size))).reshape(n, *shape).astype(np.float32)


def plain_pooling(cases: np.ndarray, pooling: AveragePooling) -> np.ndarray:
    layer = (torch.nn.AvgPool2d if pooling.dim == "2D" else torch.nn.AvgPool3d)(pooling.kernel, pooling.stride)
    return np.array([layer(torch.from_numpy(case)).numpy().flatten() for case in cases])


def plain_pca(train: np.ndarray, test: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    scaler = preprocessing.StandardScaler().fit(train)
    pca = decomposition.PCA(n)
    return pca.fit_transform(scaler.transform(train)), pca.transform(scaler.transform(test))


def plain_knn(train: np.ndarray, test: np.ndarray, failed: np.ndarray, k: int) -> None:
    plain_metrics(np.array([sorted(row)[k] for row in cdist(test, train)]), failed)


def plain_md(train: np.ndarray, test: np.ndarray, failed: np.ndarray) -> None:
    inverse = scipy.linalg.inv(np.cov(train.T))
    mean = train.mean(axis=0)
    scores = [np.sqrt(np.abs(np.matmul(np.matmul(x - mean, inverse), x - mean))) for x in test]
    plain_metrics(np.array(scores), failed)


def plain_metrics(scores: np.ndarray, failed: np.ndarray) -> None:
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    false_rate, true_rate, _ = metrics.roc_curve(failed, scaled)
    metrics.auc(false_rate, true_rate)
    metrics.average_precision_score(failed, scaled)
    np.mean(scores[~failed] >= np.quantile(scores[failed], 0.1))


def grid_against_plain(train: np.ndarray, test: np.ndarray, failed: np.ndarray) -> None:
    flat_train, flat_test = (x.reshape(len(x), -1) for x in (train, test))
    poolings = [AveragePooling(d, k, s) for d in DIMENSIONS for k, s in PAPER_GRID]
    poolings = [pooling for pooling in poolings if pooling.fits(train.shape[1:])]
    ks = [k for k in POWERS if k < len(train)]
    components = [n for n in POWERS if n < len(train)]
    repeats = SEEDS * len(ks)

    def one(what: Callable[[], object], label: str, times: int) -> float:
        measured = min(seconds(what) for _ in range(2))
        print(f"    {label:38s} {measured:8.3f} s  x {times}")
        return measured * times

    print(f"plain statement, one k and seed of each; {len(ks)} k and {SEEDS} seeds follow by multiplying")
    knn = one(lambda: plain_knn(flat_train, flat_test, failed, 16), "none, knn", repeats)
    md = 0.0
    for pooling in poolings:
        label = f"avgpool {pooling.dim} {pooling.kernel} {pooling.stride}"

        def pooled(pooling: AveragePooling = pooling) -> tuple[np.ndarray, np.ndarray]:
            return plain_pooling(train, pooling), plain_pooling(test, pooling)

        knn += one(lambda: plain_knn(*pooled(), failed, 16), f"{label}, knn", repeats)
        if pooled()[0].shape[1] <= LARGEST_INVERSE:
            md += one(lambda: plain_md(*pooled(), failed), f"{label}, md", SEEDS)
    for n in components:
        knn += one(lambda: plain_knn(*plain_pca(flat_train, flat_test, n), failed, 16), f"pca {n}, knn", repeats)  # noqa: B023
        md += one(lambda: plain_md(*plain_pca(flat_train, flat_test, n), failed), f"pca {n}, md", SEEDS)  # noqa: B023

    dice = np.where(failed, 0.5, 0.98)
    tasks = [Task("none"), *(Task("avgpool", pooling.settings()) for pooling in poolings), Task("pca")]

    def ours(mode: str, detector: str, weights: np.ndarray | None = None) -> int:
        settings, count = Settings(mode=mode, detectors=(detector,)), 0
        for task in tasks:
            if detector == "md" and task.reducer == "avgpool":
                pooling = AveragePooling(**task.parameters)  # type: ignore[arg-type]
                if pooling.transform(train[:1]).shape[1] > LARGEST_INVERSE:
                    continue
            if detector == "md" and task.reducer == "none":
                continue
            for scored in score_task(task, settings, train, test, ks, components):
                failure_metrics(scored.scores, dice, failed)
                if weights is not None:
                    failure_metrics(scored.scores, dice, failed, weights)
                count += 1
        return count

    weights = stratified_weights(failed, 1000)
    for label, plain, action in (
        ("knn, none + avgpool + pca, every k", knn, lambda: ours("paper", "knn")),
        ("the same with bootstrap intervals", knn, lambda: ours("paper", "knn", weights)),
        ("md (shrunk), avgpool + pca", md, lambda: ours("deployable", "md")),
        ("md (published arithmetic), the same", md, lambda: ours("paper", "md")),
    ):
        own = min(seconds(action) for _ in range(3))
        print(f"{label:38s} plain {plain:8.1f} s   ours {own:7.3f} s   ratio {plain / own:7.0f}")


def archive(n: int, d: int) -> None:
    """One case against many: time, and memory beside the matrix, which is read from a file in blocks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix"
        rng = np.random.default_rng(0)
        with path.open("wb") as stream:
            for start in range(0, n, 4096):
                stream.write(rng.standard_normal((min(4096, n - start), d), dtype=np.float32).tobytes())
        blocks = blocks_of(path, n, d)
        warm_up = LargeNearestNeighbours(4).fit(np.ones((8, d)))
        warm_up.ood_score(np.ones(d))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        built = LargeNearestNeighbours(50)
        fit = seconds(lambda: built.fit(blocks))
        case, batch = rng.standard_normal((1, d)), rng.standard_normal((352, d))
        alone = sorted(seconds(lambda: built.ood_score(case)) for _ in range(31))
        together = seconds(lambda: built.ood_score(batch))
        # Kibibytes on Linux, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
        size = n * d * 4
        print(f"{n} x {d} through faiss: built in {fit:.1f} s; one case median {1000 * alone[15]:.1f} ms "
              f"(min {1000 * alone[0]:.1f}); a batch of 352 {1000 * together / 352:.1f} ms a case; "
              f"memory grew by {grown / size:.2f} times the matrix ({size / 2**20:.0f} MiB)")  # fmt: skip


def blocks_of(path: Path, n: int, d: int) -> Iterator[np.ndarray]:
    with path.open("rb") as stream:
        for start in range(0, n, 4096):
            count = min(4096, n - start)
            yield np.frombuffer(stream.read(count * d * 4), dtype=np.float32).reshape(count, d)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=337)
    parser.add_argument("--test", type=int, default=352)
    parser.add_argument("--shape", type=int, nargs=4, default=[768, 3, 3, 3])
    parser.add_argument("--archive", type=int, default=100_000)
    given = parser.parse_args()
    # Of the singular covariance, which is the published procedure's.
    warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)
    # First, while little memory was ever used: what is reported is the highest that was.
    archive(given.archive, given.shape[0])
    shape = tuple(given.shape)
    train, test = synthetic(given.train, shape, 1), synthetic(given.test, shape, 2)
    failed = np.arange(given.test) >= given.test // 2
    print(f"{given.train} training and {given.test} test cases of shape {shape}")
    grid_against_plain(train, test, failed)


if __name__ == "__main__":
    main()
