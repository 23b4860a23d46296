"""What a feature space makes of its features, at its limits and beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from BottleneckOODLib.ood.calibration import LARGEST, NotFiniteError
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.upper_tail import UpperTail
from BottleneckOODLib.reference.feature_space import FeatureSpace, make_detector, make_reducer, usual_detector

RNG = np.random.default_rng(7)
FEATURES = RNG.normal([5, -20, 300], [1, 3, 40], size=(30, 3))


def nearest(features: np.ndarray, leave_one_out: np.ndarray | None = None) -> FeatureSpace:
    return FeatureSpace.fitted("bottleneck", features, KNearestNeighbours(3, "kth"), leave_one_out)


def test_a_case_is_seen_standardised_as_the_reference_is() -> None:
    space = nearest(FEATURES)
    np.testing.assert_allclose(space.centre, FEATURES.mean(axis=0))
    np.testing.assert_allclose(space.scale, FEATURES.std(axis=0))
    np.testing.assert_allclose(space.detector.features_, (FEATURES - FEATURES.mean(axis=0)) / FEATURES.std(axis=0))
    np.testing.assert_allclose(space.as_the_detector_sees(FEATURES[4]), space.detector.features_[4])


def test_a_reduced_case_is_seen_along_the_components() -> None:
    detector = KNearestNeighbours(3, "kth")
    space = FeatureSpace.fitted("bottleneck", FEATURES, detector, reducer=PrincipalComponents(2))
    standardised = (FEATURES - FEATURES.mean(axis=0)) / FEATURES.std(axis=0)
    theirs = PCA(2).fit_transform(standardised)
    np.testing.assert_allclose(np.abs(detector.features_), np.abs(theirs), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(space.as_the_detector_sees(FEATURES[4]), detector.features_[4])


@pytest.mark.parametrize(("value", "least"), [(0.0, 1e-9), (1.0, 1e-9), (-1.0, 1e-9), (100.0, 1e-7), (-5000.0, 5e-6)])
def test_what_varies_by_less_than_a_billionth_is_constant(value: float, least: float) -> None:
    signs = np.where(np.arange(40) % 2, 1.0, -1.0)[:, None]
    for share, constant in ((0.7, True), (1.5, False)):
        scale = nearest(value + share * least * signs, np.zeros(40)).scale[0]
        assert scale == pytest.approx(1.0 if constant else share * least, rel=1e-3)
    assert nearest(np.full((40, 1), value), np.zeros(40)).scale[0] == 1


def test_exactly_a_billionth_is_still_constant() -> None:
    wave = 1e-9 * np.where(np.arange(8) % 2, 1.0, -1.0)[:, None]
    assert wave.std() == 1e-9
    assert nearest(wave, np.zeros(8)).scale[0] == 1


def test_scores_that_are_known_are_kept_and_others_are_made() -> None:
    known = np.arange(30.0)
    assert nearest(FEATURES, known).leave_one_out is known
    expected = [nearest(np.delete(FEATURES, row, axis=0), np.zeros(29)).ood_score(FEATURES[row]) for row in range(30)]
    np.testing.assert_allclose(nearest(FEATURES).leave_one_out, expected)


def test_single_precision_is_judged_in_double_and_what_is_given_stays() -> None:
    narrow = FEATURES.astype(np.float32)
    kept = narrow.copy()
    space, wide = nearest(narrow), nearest(narrow.astype(np.float64))
    for name in ("features", "centre", "scale", "leave_one_out"):
        np.testing.assert_array_equal(getattr(space, name), getattr(wide, name))
    space.features[:] = 0
    np.testing.assert_array_equal(narrow, kept)


@pytest.mark.parametrize(("detector", "settings"), [
    (KNearestNeighbours, {"k": 3.0, "statistic": "kth"}), (KNearestNeighbours, {"k": 0.25, "statistic": "mean"}),
    (ShrunkMahalanobis, {}), (UpperTail, {}),
])  # fmt: skip
def test_a_detector_is_made_again_from_its_name_and_settings(detector: type, settings: dict[str, float | str]) -> None:
    made = make_detector(detector.name, settings)  # type: ignore[attr-defined]
    assert type(made) is detector
    assert made.settings() == settings


def test_a_reducer_is_made_again_and_only_what_has_a_bad_side_is_judged_by_a_tail() -> None:
    assert make_reducer("pca", {"n_components": 7.0}).settings() == {"n_components": 7}
    assert isinstance(usual_detector("output_confidence"), UpperTail)
    assert isinstance(usual_detector("bottleneck"), ShrunkMahalanobis)


def test_the_largest_measurement_is_one_and_beyond_it_is_none() -> None:
    features = FEATURES.copy()
    features[3, 1] = LARGEST
    space = nearest(features, np.zeros(30))
    features[3, 1] = np.nextafter(LARGEST, np.inf)
    with pytest.raises(NotFiniteError, match="the bottleneck features of the reference"):
        nearest(features, np.zeros(30))
    with pytest.raises(NotFiniteError):
        replace(space, features=features).check_whole()


def test_rows_that_are_missing_or_too_many_are_refused_and_one_case_is_a_reference() -> None:
    space = nearest(FEATURES)
    for rows in (29, 31):
        with pytest.raises(NotFiniteError):
            replace(space, leave_one_out=np.zeros(rows)).check_whole()
    nobody = KNearestNeighbours(3, "kth").fit(np.zeros((0, 3)))
    with pytest.raises(NotFiniteError):
        replace(space, features=FEATURES[:0], leave_one_out=np.zeros(0), detector=nobody).check_whole()
    nearest(FEATURES[:1], np.zeros(1)).check_whole()
