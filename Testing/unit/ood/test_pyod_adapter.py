"""Without PyOD, which is optional; the contract suite runs the adapter on a detector of PyOD's form."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.ood.pyod_adapter import PyODDetector


def test_without_pyod_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyod", None)
    monkeypatch.setitem(sys.modules, "pyod.models", None)
    with pytest.raises(DependencyError, match="pip install pyod"):
        PyODDetector("ECOD")


@pytest.mark.parametrize("name", ["NoSuch", "os.path", "..os", ""])
def test_only_pyod_s_own_detectors_are_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyod", "pyod.models"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    with pytest.raises(DependencyError, match="no detector"):
        PyODDetector(name)


@pytest.mark.parametrize("name", ["TwoWords", "twowords", "two_words"])
def test_a_class_is_found_whose_module_parts_its_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_words.py").write_text("class TwoWords:\n    pass\n\nclass TwoWordsModel:\n    pass\n")
    for module in ("pyod", "pyod.models"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules["pyod.models"], "__path__", [str(tmp_path)], raising=False)
    monkeypatch.delitem(sys.modules, "pyod.models.two_words", raising=False)
    assert PyODDetector(name).model == "TwoWords"
    monkeypatch.delitem(sys.modules, "pyod.models.two_words")


def test_a_package_that_a_detector_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picky.py").write_text("import no_such_package_for_picky\n")
    for module in ("pyod", "pyod.models"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules["pyod.models"], "__path__", [str(tmp_path)], raising=False)
    with pytest.raises(DependencyError, match="PyOD's Picky needs the package no_such_package_for_picky, which is not"):
        PyODDetector("Picky")


def test_settings_reach_the_detector_and_each_case_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Batch:
        def __init__(self, power: int) -> None:
            self.power = power

        def fit(self, features: np.ndarray) -> None:
            self.middle = features.mean(axis=0)

        def decision_function(self, features: np.ndarray) -> np.ndarray:
            """Depends on what else is in the batch, as a rank does."""
            return np.abs(features - self.middle).sum(axis=1) ** self.power + len(features)

    for module in ("pyod", "pyod.models", "pyod.models.batch"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules["pyod.models.batch"], "Batch", Batch, raising=False)
    detector = PyODDetector("Batch", power=2).fit(np.zeros((4, 2)))
    np.testing.assert_allclose(detector.ood_score(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])), [5, 5, 1])
    assert detector.settings() == {"model": "Batch", "power": 2}
    assert detector.name == "pyod_batch"
