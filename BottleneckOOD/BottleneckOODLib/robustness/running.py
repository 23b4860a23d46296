"""Running the benchmark: every image of every grade, measured once and kept, judged when all are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from BottleneckOODLib.assessment.checks import input_checks
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.progress import CancelToken, ProgressCallback, ProgressReporter
from BottleneckOODLib.robustness.base_cases import TEST, BaseCase, generated_bodies
from BottleneckOODLib.robustness.corruptions import AS_IT_IS, CATALOGUE, CLEAN
from BottleneckOODLib.robustness.displacements import LabelledVolume
from BottleneckOODLib.robustness.measuring import Measured, measure
from BottleneckOODLib.robustness.store import MeasurementStore
from BottleneckOODLib.version import __version__

CALIBRATING, SCANS, BODIES = "Calibrating", "Damaging scans", "Damaging bodies"
_ALL_ALIKE = 0.05
"""Of a feature's spread: a case that was measured again on another computer differs by far less."""


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        n_bodies: Generated bodies of the validation part.
        n_calibration: Cases of the reference that are measured again.
        hardest_only: Only the last grade of each corruption.
        seed: Of the corruptions' randomness.
    """

    n_bodies: int = 5
    n_calibration: int = 40
    hardest_only: bool = False
    seed: int = 0

    def steps(self) -> list[tuple[str, int]]:
        """Corruptions and grades that a labelled image goes through."""
        steps = [(CLEAN, 0)]
        for name, corruption in CATALOGUE.items():
            last = len(corruption.grades)
            steps += [(name, grade) for grade in range(last if self.hardest_only else 1, last + 1)]
        return steps


QUICK = Plan(n_bodies=3, n_calibration=24, hardest_only=True)


def plan_of(*, quick: bool, n_bodies: int | None = None, n_calibration: int | None = None) -> Plan:
    """The usual plan or the quick one, with other counts where they are given."""
    plan = QUICK if quick else Plan()
    bodies = plan.n_bodies if n_bodies is None else n_bodies
    cases = plan.n_calibration if n_calibration is None else n_calibration
    return replace(plan, n_bodies=bodies, n_calibration=cases)


@dataclass(frozen=True)
class Row:
    """One measured image.

    Attributes:
        part: ``"test"`` or ``"validation"``.
        case: The image that it comes from.
        corruption: One of ``CATALOGUE``, ``"clean"`` or ``"as it is"``.
        grade: 0 is undamaged.
        measured: What was measured.
    """

    part: str
    case: str
    corruption: str
    grade: int
    measured: Measured


@dataclass(frozen=True)
class Outcome:
    """All that was measured.

    Attributes:
        calibration: Cases of the reference, measured again.
        n_as_kept: How many of them are, feature by feature, the reference's own.
        rows: The damaged images.
        refused: Why images could not be measured, a sentence each.
    """

    calibration: list[Measured] = field(default_factory=list)
    n_as_kept: int = 0
    rows: list[Row] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def identity_of(logic: BottleneckOODLogic, scans: Sequence[BaseCase], plan: Plan, cases: str) -> dict[str, Any]:
    """All that decides what is measured."""
    return {
        "program_version": __version__,
        "model": logic.model.fingerprint,
        "reference": logic.reference.fingerprint,
        "scans": [scan.case for scan in scans],
        "calibration_cases": cases,
        "seed": plan.seed,
    }


def run_benchmark(
    logic: BottleneckOODLogic,
    scans: Sequence[BaseCase],
    calibration: Iterator[CaseForReference],
    plan: Plan,
    store: MeasurementStore,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Outcome:
    """Measure what the store does not hold yet.

    Args:
        logic: Model and reference.
        scans: The test part.
        calibration: Cases of the reference; the first ``plan.n_calibration`` are taken.
        plan: How much is done.
        store: Keeps each image's measurements at once.
        progress: Told how far it is, with the time left.
        cancel: Stops between windows; what was measured is kept.

    Raises:
        Cancelled: The run was stopped.
    """
    n_steps = len(plan.steps())
    weights = {CALIBRATING: plan.n_calibration, SCANS: n_steps * sum(scan.labelled for scan in scans) + len(scans)}
    weights[BODIES] = n_steps * plan.n_bodies
    reporter = ProgressReporter(progress, cancel, {step: float(max(1, n)) for step, n in weights.items()})
    outcome = Outcome()
    runner = _Runner(logic, plan, store, reporter, cancel or CancelToken(), outcome)
    n_as_kept = runner.calibrate(calibration)
    runner.damage(SCANS, scans)
    runner.damage(BODIES, list(generated_bodies(plan.n_bodies)))
    reporter.report(BODIES, 1.0)
    return Outcome(outcome.calibration, n_as_kept, outcome.rows, outcome.refused)


class _Lazy:
    """An image that is made when it is first asked for, and kept."""

    def __init__(self, make: Callable[[], LabelledVolume]) -> None:
        self._make = make
        self._made: LabelledVolume | None = None

    def get(self) -> LabelledVolume:
        """The image and its organ."""
        if self._made is None:
            self._made = self._make()
        return self._made


def _damaged(image: _Lazy, corruption: str, grade: int, seed: int) -> LabelledVolume:
    volume, truth = image.get()
    return (volume, truth) if grade == 0 else CATALOGUE[corruption].apply(volume, truth, grade, seed)


@dataclass
class _Runner:
    logic: BottleneckOODLogic
    plan: Plan
    store: MeasurementStore
    reporter: ProgressReporter
    cancel: CancelToken
    outcome: Outcome

    def calibrate(self, cases: Iterator[CaseForReference]) -> int:
        """Measure cases of the reference again; how many are its own."""
        own = {case.case_id: row for row, case in enumerate(self.logic.reference.cases)}
        space = self.logic.reference.spaces["bottleneck"]
        n_as_kept = 0
        for number, case in enumerate(islice(cases, self.plan.n_calibration)):
            self.reporter.report(CALIBRATING, number / max(1, self.plan.n_calibration), case.case_id)
            measured = self._once(f"calibration/{case.case_id}", _Lazy(case.load))
            # As for the reference: a case without a mask is none of its cases.
            if measured is None or "mask_shape" not in measured.features:
                continue
            self.outcome.calibration.append(measured)
            kept = own.get(case.case_id)
            if kept is not None:
                apart = np.abs(measured.features["bottleneck"] - space.features[kept]) / space.scale
                n_as_kept += bool(apart.max() < _ALL_ALIKE)
        return n_as_kept

    def damage(self, step: str, bases: Sequence[BaseCase]) -> None:
        """Take every image through the catalogue, or as it is."""
        for number, base in enumerate(bases):
            image = _Lazy(base.load)
            self.reporter.report(step, number / len(bases), base.case)
            steps = self._steps_of(base, image)
            for index, (corruption, grade) in enumerate(steps):
                self.reporter.report(step, (number + index / len(steps)) / len(bases), base.case)
                damaged = _Lazy(partial(_damaged, image, corruption, grade, self.plan.seed))
                measured = self._once(f"{base.part}/{base.case}/{corruption}/{grade}", damaged)
                if measured is not None:
                    self.outcome.rows.append(Row(base.part, base.case, corruption, grade, measured))

    def _steps_of(self, base: BaseCase, image: _Lazy) -> list[tuple[str, int]]:
        """All steps for what the model was made for; one for an image of another kind, or without a known organ."""
        alone = [(AS_IT_IS, 0)]
        if not base.labelled or self.store.get(f"{base.part}/{base.case}/{AS_IT_IS}/0") is not None:
            return alone
        if base.part == TEST and self.store.get(f"{base.part}/{base.case}/{CLEAN}/0") is None:
            try:
                volume, _ = image.get()
            except UserError:
                return alone
            if any(check.state == "hard" for check in input_checks(volume, self.logic.model.modality)):
                return alone
        return self.plan.steps()

    def _once(self, key: str, image: _Lazy) -> Measured | None:
        found = self.store.get(key)
        if found is None:
            reference = self.logic.reference
            pooling, shown = str(reference.settings["pooling"]), reference.extent_range
            try:
                volume, truth = image.get()
                found = measure(volume, truth, self.logic.segmenter, pooling, self.cancel, shown)
            except UserError as error:
                found = f"{key}: {error}"
            self.store.keep(key, found)
        if isinstance(found, str):
            self.outcome.refused.append(found)
            return None
        return found
