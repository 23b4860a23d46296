"""What every detector promises, after every reducer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import Detector, FeatureSpace, make_detector, make_reducer
from BottleneckOODLib.reference.reference_folder import Reference

FloatArray = npt.NDArray[np.float64]

DETECTORS: dict[str, dict[str, float | str]] = {
    "md": {},
    "knn mean of a tenth": {"k": 0.1, "statistic": "mean"},
    "knn mean of all": {"k": 1000, "statistic": "mean"},
    "knn third": {"k": 3, "statistic": "kth"},
}
REDUCERS: dict[str, int | None] = {"whole": None, "pca 1": 1, "pca 4": 4, "pca more than there are": 500}
SHAPES = [(24, 6), (24, 40)]


def a_detector(label: str) -> Detector:
    return make_detector(label.split(maxsplit=1)[0], DETECTORS[label])


def a_space(label: str, n_components: int | None, features: FloatArray) -> FeatureSpace:
    reducer = None if n_components is None else PrincipalComponents(n_components)
    return FeatureSpace.fitted("bottleneck", features, a_detector(label), reducer=reducer)


def correlated(shape: tuple[int, int], seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    n, d = shape
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5


pytestmark = [
    pytest.mark.parametrize("shape", SHAPES, ids=str),
    pytest.mark.parametrize("reducer", REDUCERS),
    pytest.mark.parametrize("detector", DETECTORS),
]


def test_a_far_case_scores_above_every_reference_case(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features = correlated(shape)
    space = a_space(detector, REDUCERS[reducer], features)
    # Far along the direction in which the cases vary most: a projection need not see others.
    spread = features.std(axis=0)
    direction = np.linalg.svd((features - features.mean(axis=0)) / spread)[2][0]
    far = features.mean(axis=0) + 100 * spread * direction
    assert space.ood_score(far) > space.leave_one_out.max()


def test_farther_along_a_ray_is_never_less_unusual(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features = correlated(shape)
    space = a_space(detector, REDUCERS[reducer], features)
    step = features[1] - features.mean(axis=0)
    scores = [space.ood_score(features.mean(axis=0) + 10 * far * step) for far in range(1, 6)]
    assert scores == sorted(scores)


def test_one_case_alone_scores_as_it_does_in_a_batch(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    space = a_space(detector, REDUCERS[reducer], correlated(shape))
    cases = correlated((7, shape[1]), seed=1)
    seen = np.array([space.as_the_detector_sees(case) for case in cases])
    together = space.detector.ood_score(seen)
    np.testing.assert_allclose([space.ood_score(case) for case in cases], together, rtol=1e-9)


def test_the_order_of_features_does_not_matter(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    order = np.random.default_rng(2).permutation(shape[1])
    space = a_space(detector, REDUCERS[reducer], features)
    permuted = a_space(detector, REDUCERS[reducer], features[:, order])
    assert permuted.ood_score(case[order]) == pytest.approx(space.ood_score(case), rel=1e-6)
    np.testing.assert_allclose(permuted.leave_one_out, space.leave_one_out, rtol=1e-6)


def test_the_order_of_cases_does_not_matter(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    order = np.random.default_rng(2).permutation(shape[0])
    space = a_space(detector, REDUCERS[reducer], features)
    permuted = a_space(detector, REDUCERS[reducer], features[order])
    assert permuted.ood_score(case) == pytest.approx(space.ood_score(case), rel=1e-6)
    np.testing.assert_allclose(permuted.leave_one_out, space.leave_one_out[order], rtol=1e-6)


def test_units_and_offsets_of_features_do_not_matter(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    rng = np.random.default_rng(3)
    units, offset = rng.uniform(0.1, 10, shape[1]), rng.normal(size=shape[1])
    space = a_space(detector, REDUCERS[reducer], features)
    other = a_space(detector, REDUCERS[reducer], features * units + offset)
    assert other.ood_score(case * units + offset) == pytest.approx(space.ood_score(case), rel=1e-6)


def test_leaving_one_out_is_a_fit_to_all_the_others(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features = correlated(shape)
    n_components = REDUCERS[reducer]
    space = a_space(detector, n_components, features)
    for row in (0, 5, shape[0] - 1):
        others = a_space(detector, n_components, np.delete(features, row, axis=0))
        assert space.leave_one_out[row] == pytest.approx(others.ood_score(features[row]), rel=1e-6)


def test_inputs_stay_as_they_were(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    kept_features, kept_case = features.copy(), case.copy()
    space = a_space(detector, REDUCERS[reducer], features)
    space.ood_score(case)
    np.testing.assert_array_equal(features, kept_features)
    np.testing.assert_array_equal(case, kept_case)


def test_a_constant_feature_changes_no_score(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    """Shrinkage counts the features, so only detectors without a covariance promise it to the digit."""
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    space = a_space(detector, REDUCERS[reducer], features)
    wider = a_space(detector, REDUCERS[reducer], np.column_stack([features, np.full(shape[0], 3.0)]))
    with_constant = wider.ood_score(np.append(case, 3.0))
    assert np.isfinite(with_constant)
    if "knn" in detector:
        assert with_constant == pytest.approx(space.ood_score(case), rel=1e-9)


def test_a_saved_reference_scores_the_same(detector: str, reducer: str, shape: tuple[int, int], tmp_path: Path) -> None:
    features, case = correlated(shape), correlated((1, shape[1]), seed=1)[0]
    space = a_space(detector, REDUCERS[reducer], features)
    cases = tuple(ReferenceCase(f"case-{number}") for number in range(shape[0]))
    reference = Reference("contract", "0" * 64, cases, {"bottleneck": space}, features[:, :2].copy(), {})
    loaded = reference.save(tmp_path / "reference")
    assert loaded.score({"bottleneck": case}) == reference.score({"bottleneck": case})
    assert loaded.neighbours(case) == reference.neighbours(case)
    assert loaded.place(case) == reference.place(case)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_scores_are_finite_and_not_negative(detector: str, reducer: str, shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = correlated(shape, seed)
    # Cases twice, features twice: singular in every way.
    features[3], features[:, 1] = features[2], features[:, 0]
    space = a_space(detector, REDUCERS[reducer], features)
    for case in (features[2], features.mean(axis=0), rng.normal(size=shape[1]) * 1e3):
        score = space.ood_score(case)
        assert np.isfinite(score)
        assert score >= 0


def test_an_unknown_name_is_refused(detector: str, reducer: str, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="unknown detector"):
        make_detector(f"not {detector}", {})
    with pytest.raises(ValueError, match="unknown reducer"):
        make_reducer(f"not {reducer}", {})
    assert isinstance(a_detector(detector), (ShrunkMahalanobis, KNearestNeighbours)), shape
