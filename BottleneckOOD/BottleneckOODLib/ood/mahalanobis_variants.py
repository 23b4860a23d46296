"""Mahalanobis distances other than the shrunk one: pseudo-inverse, the published arithmetic, and by classes."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import scipy.linalg

from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis

FloatArray = npt.NDArray[np.float64]


class PseudoInverseMahalanobis:
    """Distance with the pseudo-inverse of the covariance: directions in which no reference case varies do not count."""

    name = "md_pinv"

    def fit(self, features: FloatArray) -> PseudoInverseMahalanobis:
        """Fit to the reference cases, shape (n, d), n >= 3."""
        self.features_ = np.array(features, dtype=np.float64)
        self.mean_ = self.features_.mean(axis=0)
        centred = self.features_ - self.mean_
        _, singular, basis = np.linalg.svd(centred, full_matrices=False)
        largest = singular.max(initial=0.0)
        seen = singular > largest * max(centred.shape) * np.finfo(np.float64).eps
        self.whitening_ = basis[seen] / (singular[seen, None] / np.sqrt(len(features) - 1))
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Distance of each case (n_cases, d) to the mean, shape (n_cases,), >= 0; higher is more unusual."""
        return np.asarray(np.linalg.norm((np.atleast_2d(features) - self.mean_) @ self.whitening_.T, axis=1))

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        rows = range(len(self.features_))
        fits = (PseudoInverseMahalanobis().fit(np.delete(self.features_, row, axis=0)) for row in rows)
        return np.array([fit.ood_score(self.features_[row])[0] for row, fit in zip(rows, fits, strict=True)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}


class PaperMahalanobis:
    """The published arithmetic: the covariance is inverted whether or not it can be, and signs are dropped.

    With fewer cases than features the covariance is singular, its inverse is rounding noise, and squared distances come
    out negative; the absolute value hides it. For comparison with published figures only.
    """

    name = "md_paper"

    def fit(self, features: FloatArray) -> PaperMahalanobis:
        """Fit to the reference cases, shape (n, d).

        Raises:
            numpy.linalg.LinAlgError: The covariance is singular to the last digit.
        """
        self.features_ = np.array(features, dtype=np.float64)
        self.mean_ = self.features_.mean(axis=0)
        covariance = np.atleast_2d(np.cov(self.features_.T))
        with warnings.catch_warnings():
            # SciPy says that the matrix is ill-conditioned, which is the finding.
            warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)
            self.inverse_ = scipy.linalg.inv(covariance)
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Square root of the absolute squared distance of each case (n_cases, d), shape (n_cases,).

        Source:
            Woodland et al., MELBA 2024:020, published code.
        """
        # One case at a time: in a batch the noise of a singular inverse would come out otherwise.
        offsets = np.atleast_2d(features) - self.mean_
        return np.array([np.sqrt(np.abs(offset @ self.inverse_ @ offset)) for offset in offsets])

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        rows = range(len(self.features_))
        fits = (PaperMahalanobis().fit(np.delete(self.features_, row, axis=0)) for row in rows)
        return np.array([fit.ood_score(self.features_[row])[0] for row, fit in zip(rows, fits, strict=True)])

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {}


class RelativeMahalanobis:
    """Distance to the nearest class, less the distance to all cases together; only where cases have classes.

    Args:
        classes: Class of each reference case, in the order in which they are fitted; two classes or more.

    Raises:
        ValueError: There is one class only.
    """

    name = "md_relative"

    def __init__(self, classes: tuple[str, ...]) -> None:
        if len(set(classes)) < 2:  # noqa: PLR2004 - relative to what
            message = "relative Mahalanobis distance needs cases of two classes or more"
            raise ValueError(message)
        self.classes = classes

    def fit(self, features: FloatArray) -> RelativeMahalanobis:
        """Fit one spread, shared by all classes, and the background, to the reference cases, shape (n, d).

        Raises:
            ValueError: There are not as many cases as classes were told.
        """
        if len(features) != len(self.classes):
            message = f"{len(features)} cases were given and {len(self.classes)} classes"
            raise ValueError(message)
        self.features_ = np.array(features, dtype=np.float64)
        kinds = np.array(self.classes)
        self.means_ = np.array([self.features_[kinds == kind].mean(axis=0) for kind in sorted(set(self.classes))])
        centred = self.features_ - self.means_[np.searchsorted(sorted(set(self.classes)), kinds)]
        self.within_ = ShrunkMahalanobis().fit(centred)
        self.background_ = ShrunkMahalanobis().fit(self.features_)
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """Squared distance to the nearest class less that to the background, shape (n_cases,); may be negative.

        Source:
            Ren et al., A simple fix to Mahalanobis distance, arXiv:2106.09022; both covariances are shrunk here.
        """
        cases = np.atleast_2d(features)
        nearest = np.min([self.within_.ood_score(cases - mean) ** 2 for mean in self.means_], axis=0)
        return np.asarray(nearest - self.background_.ood_score(cases) ** 2)

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,).

        Raises:
            ValueError: A class has one case only, so that nothing is left of it, and one class remains.
        """
        scores = []
        for row, case in enumerate(self.features_):
            others = (*self.classes[:row], *self.classes[row + 1 :])
            fit = RelativeMahalanobis(others).fit(np.delete(self.features_, row, axis=0))
            scores.append(fit.ood_score(case)[0])
        return np.array(scores)

    def settings(self) -> dict[str, float | str]:
        """What describes it; the classes belong to the cases."""
        return {"n_classes": len(set(self.classes))}
