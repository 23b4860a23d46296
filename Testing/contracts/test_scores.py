"""What every detector of an evaluation promises after every reducer, fitted one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.ood.average_pooling import AveragePooling, NoReduction
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.mahalanobis_variants import PaperMahalanobis, PseudoInverseMahalanobis, RelativeMahalanobis
from BottleneckOODLib.ood.pyod_adapter import PyODDetector
from BottleneckOODLib.ood.residual import PrincipalResidual
from BottleneckOODLib.ood.robust_z import RobustZ
from BottleneckOODLib.ood.standardising import StandardisedComponents

FloatArray = npt.NDArray[np.float64]
N, SHAPE = 30, (4, 2, 3, 3)

DETECTORS: dict[str, Callable[[], Any]] = {
    "knn third": lambda: KNearestNeighbours(3, "kth"),
    "knn half": lambda: KNearestNeighbours(0.5, "mean"),
    "knn unit length": lambda: KNearestNeighbours(3, "kth", normalise=True),
    "knn paper": lambda: KNearestNeighbours(4, "paper"),
    "knn more than there are": lambda: KNearestNeighbours(1000, "paper"),
    "md": ShrunkMahalanobis,
    "md_pinv": PseudoInverseMahalanobis,
    "residual": lambda: PrincipalResidual(3),
    "robust_z": RobustZ,
    "robust_z rms": lambda: RobustZ("rms"),
    "pyod": lambda: PyODDetector("Centroid"),
}
REDUCERS: dict[str, Callable[[], Any]] = {
    "none": NoReduction,
    "avgpool 2D": lambda: AveragePooling("2D", 2, 1),
    "avgpool 3D": lambda: AveragePooling("3D", 2, 2),
    "pca 5": lambda: StandardisedComponents(5),
}


class Centroid:
    """A detector as PyOD has them, since PyOD itself is optional."""

    def fit(self, features: FloatArray) -> None:
        self.middle = features.mean(axis=0)

    def decision_function(self, features: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.norm(features - self.middle, axis=1))


@pytest.fixture(autouse=True)
def a_pyod_with_one_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyod", "pyod.models", "pyod.models.centroid"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["pyod.models.centroid"], "Centroid", Centroid, raising=False)


def cases(n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    size = int(np.prod(SHAPE))
    mixing = np.random.default_rng(0).normal(size=(size, size))
    return ((rng.normal(size=(n, size)) @ mixing) + 3).reshape(n, *SHAPE)


def reduced(reducer: str, train: FloatArray, *others: FloatArray) -> list[FloatArray]:
    made = REDUCERS[reducer]()
    flat = [x if reducer.startswith(("none", "avg")) else x.reshape(len(x), -1) for x in (train, *others)]
    made.fit(flat[0])
    return [made.transform(x) for x in flat]


pytestmark = [pytest.mark.parametrize("reducer", REDUCERS), pytest.mark.parametrize("detector", DETECTORS)]


def test_a_far_case_scores_above_every_reference_case(detector: str, reducer: str) -> None:
    train = cases(N, 1)
    # Far from the origin too, so that a difference of direction is seen as well.
    far = np.full((1, *SHAPE), -500.0)
    fitted_to, seen = reduced(reducer, train, far)
    fit = DETECTORS[detector]().fit(fitted_to)
    score = fit.ood_score(seen)[0]
    if "unit length" in detector or "pinv" in detector:
        # Neither length nor what no reference case varies in counts for them.
        assert score > np.median(fit.leave_one_out_scores())
    else:
        assert score > fit.leave_one_out_scores().max()


def test_one_case_alone_scores_as_it_does_in_a_batch(detector: str, reducer: str) -> None:
    fitted_to, seen = reduced(reducer, cases(N, 1), cases(6, 2))
    fit = DETECTORS[detector]().fit(fitted_to)
    alone = np.concatenate([fit.ood_score(case) for case in seen])
    np.testing.assert_allclose(alone, fit.ood_score(seen), rtol=1e-9)


def test_the_order_of_features_and_of_cases_does_not_matter(detector: str, reducer: str) -> None:
    rng = np.random.default_rng(3)
    fitted_to, seen = reduced(reducer, cases(N, 1), cases(6, 2))
    scores = DETECTORS[detector]().fit(fitted_to).ood_score(seen)
    columns, rows = rng.permutation(fitted_to.shape[1]), rng.permutation(N)
    permuted = DETECTORS[detector]().fit(fitted_to[rows][:, columns]).ood_score(seen[:, columns])
    np.testing.assert_allclose(permuted, scores, rtol=1e-6)


def test_leaving_one_out_is_a_fit_to_all_the_others(detector: str, reducer: str) -> None:
    (fitted_to,) = reduced(reducer, cases(N, 1))
    left_out = DETECTORS[detector]().fit(fitted_to).leave_one_out_scores()
    assert left_out.shape == (N,)
    for row in (0, 11, N - 1):
        others = DETECTORS[detector]().fit(np.delete(fitted_to, row, axis=0))
        if "half" not in detector:  # half of 29 is not half of 30
            assert left_out[row] == pytest.approx(others.ood_score(fitted_to[row])[0], rel=1e-6)


def test_inputs_stay_as_they_were(detector: str, reducer: str) -> None:
    train, new = cases(N, 1), cases(3, 2)
    kept = train.copy(), new.copy()
    fitted_to, seen = reduced(reducer, train, new)
    kept_seen = fitted_to.copy(), seen.copy()
    DETECTORS[detector]().fit(fitted_to).ood_score(seen)
    for now, before in zip((train, new, fitted_to, seen), (*kept, *kept_seen), strict=True):
        np.testing.assert_array_equal(now, before)


def test_scaling_everything_scales_or_keeps_the_scores(detector: str, reducer: str) -> None:
    """A distance is in the features' units, a Mahalanobis distance has none."""
    fitted_to, seen = reduced(reducer, cases(N, 1), cases(6, 2))
    scores = DETECTORS[detector]().fit(fitted_to).ood_score(seen)
    scaled = DETECTORS[detector]().fit(fitted_to * 7).ood_score(seen * 7)
    unitless = any(word in detector for word in ("md", "unit", "robust"))
    np.testing.assert_allclose(scaled, scores * (1 if unitless else 7), rtol=1e-6)


def test_settings_describe_what_was_made(detector: str, reducer: str) -> None:
    made = DETECTORS[detector]()
    assert made.name.split("_", maxsplit=1)[0] in {"knn", "md", "residual", "robust", "pyod"}
    assert isinstance(made.settings(), dict)
    assert REDUCERS[reducer]().name == reducer.split(maxsplit=1)[0]
    assert PaperMahalanobis().name == "md_paper"
    assert RelativeMahalanobis(("a", "b")).settings() == {"n_classes": 2}
