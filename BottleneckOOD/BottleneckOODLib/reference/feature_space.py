"""One kind of features of the reference cases, with the detector that was fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import ReferenceMismatchError
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis, score_among
from BottleneckOODLib.ood.pca import PrincipalComponents

FloatArray = npt.NDArray[np.float64]
_CONSTANT = 1e-9
Detector = KNearestNeighbours | ShrunkMahalanobis


def make_detector(name: str, settings: dict[str, float | str]) -> Detector:
    """The detector of that name.

    Raises:
        ValueError: The name is unknown.
    """
    if name == KNearestNeighbours.name:
        return KNearestNeighbours(k=float(settings["k"]), statistic=str(settings["statistic"]))
    if name == ShrunkMahalanobis.name:
        return ShrunkMahalanobis()
    message = f"unknown detector {name!r}"
    raise ValueError(message)


def make_reducer(name: str, settings: dict[str, float | str]) -> PrincipalComponents:
    """The reducer of that name.

    Raises:
        ValueError: The name is unknown.
    """
    if name == PrincipalComponents.name:
        return PrincipalComponents(int(settings["n_components"]))
    message = f"unknown reducer {name!r}"
    raise ValueError(message)


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Features of the reference cases, standardised, perhaps reduced, and a fitted detector.

    Attributes:
        name: Such as ``"bottleneck"``.
        features: As measured, shape (n, d).
        centre: Mean of each feature, shape (d,).
        scale: Standard deviation of each feature, 1 where it is constant, shape (d,).
        reducer: Fitted to the standardised features, or None.
        detector: Fitted to the standardised, reduced features.
        leave_one_out: Score of each reference case among the others, shape (n,).
    """

    name: str
    features: FloatArray
    centre: FloatArray
    scale: FloatArray
    reducer: PrincipalComponents | None
    detector: Detector
    leave_one_out: FloatArray

    @classmethod
    def fitted(
        cls,
        name: str,
        features: FloatArray,
        detector: Detector,
        leave_one_out: FloatArray | None = None,
        *,
        reducer: PrincipalComponents | None = None,
    ) -> FeatureSpace:
        """Standardise, fit, and score each reference case by a fit to all the others (unless the scores are known).

        Standardising and reducing are part of the fit: with more features than cases, a case that took part in them
        would look nearer than a new one, and the light would flag too many.
        """
        features = np.array(features, dtype=np.float64)
        if leave_one_out is None:
            rows = range(len(features))
            leave_one_out = np.array([_left_out_score(features, row, detector, reducer) for row in rows])
        centre, scale = _standardisation(features)
        standardised = (features - centre) / scale
        detector.fit(standardised if reducer is None else reducer.fit(standardised).transform(standardised))
        return cls(name, features, centre, scale, reducer, detector, leave_one_out)

    def as_the_detector_sees(self, vector: FloatArray) -> FloatArray:
        """A case's features (d,), standardised and reduced as the reference cases were.

        Raises:
            ReferenceMismatchError: The number of features differs.
        """
        if vector.shape != self.centre.shape:
            message = (
                f"The reference has {len(self.centre)} {self.name} features a case and this case has {vector.size}; "
                "build the reference again with this model."
            )
            raise ReferenceMismatchError(message)
        standardised = np.asarray((vector - self.centre) / self.scale)
        return standardised if self.reducer is None else self.reducer.transform(standardised[None])[0]

    def ood_score(self, vector: FloatArray) -> float:
        """Score of one case, features (d,); higher is more unusual."""
        return float(self.detector.ood_score(self.as_the_detector_sees(vector)[None])[0])


def _standardisation(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre, scale = features.mean(axis=0), features.std(axis=0)
    return centre, np.where(scale > _CONSTANT * np.maximum(1.0, np.abs(centre)), scale, 1.0)


def _left_out_score(features: FloatArray, index: int, detector: Detector, reducer: PrincipalComponents | None) -> float:
    others = np.delete(features, index, axis=0)
    centre, scale = _standardisation(others)
    others, case = (others - centre) / scale, (features[index] - centre) / scale
    if reducer is not None:
        refitted = PrincipalComponents(reducer.n_components).fit(others)
        others, case = refitted.transform(others), refitted.transform(case[None])[0]
    if isinstance(detector, ShrunkMahalanobis):
        return score_among(others, case)
    fitted = KNearestNeighbours(detector.k, detector.statistic).fit(others)
    return float(fitted.ood_score(case[None])[0])
