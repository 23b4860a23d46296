"""One kind of features of the reference cases, with the detector that was fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import ReferenceMismatchError
from BottleneckOODLib.ood.calibration import LARGEST, NotFiniteError
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis, score_among
from BottleneckOODLib.ood.output_scores import OUTPUT_CONFIDENCE
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.upper_tail import UpperTail

FloatArray = npt.NDArray[np.float64]
_CONSTANT = 1e-9
Detector = KNearestNeighbours | ShrunkMahalanobis | UpperTail


def make_detector(name: str, settings: dict[str, float | str]) -> Detector:
    """The detector of that name.

    Raises:
        ValueError: The name is unknown.
    """
    if name == KNearestNeighbours.name:
        return KNearestNeighbours(k=float(settings["k"]), statistic=str(settings["statistic"]))
    if name == ShrunkMahalanobis.name:
        return ShrunkMahalanobis()
    if name == UpperTail.name:
        return UpperTail()
    message = f"unknown detector {name!r}"
    raise ValueError(message)


def usual_detector(space: str) -> Detector:
    """What judges a feature space unless another detector is chosen: a network that is surer than usual is no alarm."""
    return UpperTail() if space == OUTPUT_CONFIDENCE else ShrunkMahalanobis()


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

        Raises:
            NotFiniteError: A feature is not finite or beyond ``LARGEST``, or there are no cases.
        """
        features = np.array(features, dtype=np.float64)
        if leave_one_out is None:
            rows = range(len(features))
            leave_one_out = np.array([_left_out_score(features, row, detector, reducer) for row in rows])
        centre, scale = _standardisation(features)
        standardised = (features - centre) / scale
        detector.fit(standardised if reducer is None else reducer.fit(standardised).transform(standardised))
        space = cls(name, features, centre, scale, reducer, detector, leave_one_out)
        space.check_whole()
        return space

    def check_whole(self) -> None:
        """Refuse to be compared with: by a spread that is not finite, every case would lie in the middle.

        Raises:
            NotFiniteError: Something that was fitted is not finite or beyond ``LARGEST``, or cases are missing.
        """
        fitted = [self.features, self.centre, self.scale, self.leave_one_out]
        fitted += [value for part in (self.detector, self.reducer) if part is not None for value in vars(part).values()]
        rows = {len(self.features), len(self.leave_one_out), len(self.detector.features_)}
        within = bool(np.all(np.abs(self.features) <= LARGEST))
        if len(rows) > 1 or 0 in rows or not within or not all(map(_is_finite, fitted)):
            message = f"the {self.name} features of the reference are not finite numbers"
            raise NotFiniteError(message)

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


def _is_finite(value: object) -> bool:
    return not isinstance(value, float | np.ndarray) or bool(np.isfinite(value).all())


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
    fitted = make_detector(detector.name, detector.settings()).fit(others)
    return float(fitted.ood_score(case[None])[0])
