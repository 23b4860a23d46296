"""Any detector of the library PyOD, by its name; PyOD itself is optional."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import DependencyError, EvaluationError

FloatArray = npt.NDArray[np.float64]

# What a detector of somebody else raises at features that do not suit it.
_UNSUITABLE = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError, ImportError)


class PyODDetector:
    """A detector of PyOD under our interface.

    Args:
        model: Name of its class, such as ``"ECOD"`` or ``"IForest"``, in capitals or not.
        **settings: What that class is given. What it draws at random is always drawn alike, unless they say otherwise.

    Raises:
        DependencyError: PyOD is not installed, or has no such detector.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        self._class = self._class_of(model)
        self.model = str(self._class.__name__)
        self.name = f"pyod_{self.model.lower()}"
        self._settings = settings

    @staticmethod
    def _class_of(model: str) -> Any:
        try:
            models = importlib.import_module("pyod.models")
        except ImportError:
            message = f"The detector {model} needs PyOD, which is not installed; run: pip install pyod"
            raise DependencyError(message) from None
        # A name reaches the import machinery only as one module of that folder.
        module_name = model.lower() if model.isidentifier() else ""
        # A module's name may part words that its class joins: feature_bagging and FeatureBagging.
        plain = module_name.replace("_", "")
        for one in pkgutil.iter_modules(getattr(models, "__path__", ())):
            if one.name.replace("_", "") == plain:
                module_name = one.name
        try:
            with warnings.catch_warnings():
                # What PyOD's own packages deprecate is not the user's to mend.
                warnings.simplefilter("ignore")
                module = importlib.import_module(f"pyod.models.{module_name}") if module_name else None
            classes = {name.lower().replace("_", ""): one for name, one in vars(module).items() if inspect.isclass(one)}
            return classes[plain]
        except ModuleNotFoundError as error:
            lacking = str(error.name)
            if lacking.startswith("pyod."):
                message = f"PyOD has no detector {model}; see PyOD's list of detectors."
            else:
                message = f"PyOD's {model} needs the package {lacking}, which is not installed; install or leave it."
            raise DependencyError(message) from None
        except (ImportError, AttributeError, KeyError, TypeError):
            message = f"PyOD has no detector {model}, or lacks a package for it; see PyOD's list of detectors."
            raise DependencyError(message) from None

    def _make(self) -> Any:
        seeded = {"random_state": 0} if "random_state" in inspect.signature(self._class).parameters else {}
        return self._class(**{**seeded, **self._settings})

    def fit(self, features: FloatArray) -> PyODDetector:
        """Fit to the reference cases, shape (n, d).

        Raises:
            EvaluationError: The detector cannot be fitted to these cases.
        """
        self.features_ = np.array(features, dtype=np.float64)
        self.detector_ = self._make_for_these()
        return self

    def _make_for_these(self) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = self._make()
                made.fit(self.features_.copy())
        except _UNSUITABLE as error:
            why = " ".join(str(error).split())[:120] or type(error).__name__
            message = f"PyOD's {self.model} cannot be fitted to {len(self.features_)} cases ({why}); leave it out."
            raise EvaluationError(message) from None
        return made

    def ood_score(self, features: FloatArray) -> FloatArray:
        """PyOD's raw outlier score of each case (n_cases, d), shape (n_cases,); higher is more unusual.

        Each case is scored alone: some of PyOD's detectors rank a case among those that come with it.

        Raises:
            EvaluationError: A score is not a finite number.

        Source:
            Zhao et al., PyOD, JMLR 20 (2019) 96.
        """
        cases = np.array(np.atleast_2d(features), dtype=np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = np.array([float(self.detector_.decision_function(case[None])[0]) for case in cases])
        if not np.isfinite(scores).all():
            message = f"PyOD's {self.model} gives a score that is not a finite number for these cases; leave it out."
            raise EvaluationError(message)
        return scores

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
