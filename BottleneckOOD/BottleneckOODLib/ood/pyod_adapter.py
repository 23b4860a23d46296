"""Any detector of the library PyOD, by its name; PyOD itself is optional."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import DependencyError

FloatArray = npt.NDArray[np.float64]


class PyODDetector:
    """A detector of PyOD under our interface.

    Args:
        model: Name of its class, such as ``"ECOD"`` or ``"IForest"``.
        **settings: What that class is given.

    Raises:
        DependencyError: PyOD is not installed, or has no such detector.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        self.model = model
        self.name = f"pyod_{model.lower()}"
        self._settings = settings
        self._make()

    def _make(self) -> Any:
        try:
            importlib.import_module("pyod.models")
        except ImportError:
            message = f"The detector {self.model} needs PyOD, which is not installed; run: pip install pyod"
            raise DependencyError(message) from None
        # A name reaches the import machinery only as one module of that folder.
        module_name = self.model.lower() if self.model.isidentifier() else ""
        try:
            module = importlib.import_module(f"pyod.models.{module_name}") if module_name else None
            made = getattr(module, self.model)
        except (ImportError, AttributeError):
            message = f"PyOD has no detector {self.model}, or lacks a package for it; see PyOD's list of detectors."
            raise DependencyError(message) from None
        return made(**self._settings)

    def fit(self, features: FloatArray) -> PyODDetector:
        """Fit to the reference cases, shape (n, d)."""
        self.features_ = np.array(features, dtype=np.float64)
        self.detector_ = self._make()
        self.detector_.fit(self.features_.copy())
        return self

    def ood_score(self, features: FloatArray) -> FloatArray:
        """PyOD's raw outlier score of each case (n_cases, d), shape (n_cases,); higher is more unusual.

        Each case is scored alone: some of PyOD's detectors rank a case among those that come with it.

        Source:
            Zhao et al., PyOD, JMLR 20 (2019) 96.
        """
        cases = np.array(np.atleast_2d(features), dtype=np.float64)
        return np.array([float(self.detector_.decision_function(case[None])[0]) for case in cases])

    def leave_one_out_scores(self) -> FloatArray:
        """Score of each reference case by a new fit to all the others, shape (n,)."""
        scores = []
        for row, case in enumerate(self.features_):
            fit = PyODDetector(self.model, **self._settings).fit(np.delete(self.features_, row, axis=0))
            scores.append(fit.ood_score(case)[0])
        return np.array(scores)

    def settings(self) -> dict[str, float | str]:
        """What ``__init__`` was given."""
        return {"model": self.model, **self._settings}
