"""A new version of a reference: the old one's cases and some more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import ReferenceMismatchError
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.cases_file import ReferenceCase
from BottleneckOODLib.reference.feature_space import FeatureSpace, make_detector, make_reducer
from BottleneckOODLib.reference.map_fitting import fit_map
from BottleneckOODLib.reference.outcome_fitting import fit_outcomes
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.reference.scoring import calibrating_rows, combined_leave_one_out

FloatArray = npt.NDArray[np.float64]

_SAME = 1e-9
_SPACES_OF_A_DOUBLE = 2


def extended_spaces(reference: Reference, features: Mapping[str, FloatArray]) -> dict[str, FeatureSpace]:
    """Each feature space fitted to the old cases and the new ones, by the old detector; calibrated anew.

    Args:
        reference: The reference; not modified.
        features: Of the cases to add, shape (m, d) a space, rows in one order.

    Raises:
        ReferenceMismatchError: The features are of other spaces than the reference's, or have another length.
    """
    old_shapes = {name: space.features.shape[1] for name, space in reference.spaces.items()}
    new_shapes = {name: rows.shape[1] for name, rows in features.items()}
    if old_shapes != new_shapes:
        message = f'The features of the cases do not fit those of the reference "{reference.name}"; build it again.'
        raise ReferenceMismatchError(message)
    spaces = {}
    for name, old in reference.spaces.items():
        reducer = old.reducer and make_reducer(old.reducer.name, dict(old.reducer.settings()))
        detector = make_detector(old.detector.name, dict(old.detector.settings()))
        spaces[name] = FeatureSpace.fitted(name, np.vstack([old.features, features[name]]), detector, reducer=reducer)
    return spaces


def extended(
    reference: Reference,
    name: str,
    spaces: Mapping[str, FeatureSpace],
    cases: Sequence[ReferenceCase],
    version: Mapping[str, Any],
    bank: TokenBank | None,
) -> Reference:
    """The new version; the detector's choice and the known outcomes stay those of the old cases.

    Args:
        reference: The old version; not modified.
        name: Of the new one.
        spaces: As ``extended_spaces`` gives them.
        cases: The cases that were added, in the order of their rows.
        version: What is told of the step, kept after those of earlier steps in ``settings["versions"]``.
        bank: The tokens of all cases.

    Returns:
        The reference, not yet saved.
    """
    everyone = (*reference.cases, *cases)
    steps = [*reference.settings.get("versions", ()), {**version, "parent": reference.fingerprint}]
    outcomes, dice = reference.outcomes, [case.dice for case in everyone]
    usual = calibrating_rows(dice, reference.failure_dice)
    if outcomes is not None:
        # They are told of the combined score, whose scale is another one now.
        limit = reference.failure_dice or outcomes.failure_dice
        outcomes = fit_outcomes(combined_leave_one_out(spaces, usual), dice, limit)
    return replace(
        reference,
        name=name,
        cases=everyone,
        spaces=dict(spaces),
        map_xy=fit_map(spaces["bottleneck"].detector.features_),
        settings={
            **reference.settings,
            "built": version["made"],
            "attainable_p": 1 / (int(usual.sum()) + 1),
            "versions": steps,
        },
        fingerprint="",
        bank=bank,
        outcomes=outcomes,
        thumbnails=(),
    )


def free_names(reference: Reference, cases: Sequence[ReferenceCase]) -> list[ReferenceCase]:
    """The cases, those with a name that the reference has already under another one."""
    taken = {case.case_id for case in reference.cases} | {case.case_id for case in cases}
    own = {case.case_id for case in reference.cases}
    named = []
    for case in cases:
        name, number = case.case_id, 1
        while name in own or (number > 1 and name in taken):
            number += 1
            name = f"{case.case_id}-{number}"
        taken.add(name)
        named.append(replace(case, case_id=name))
    return named


def double_of(reference: Reference, features: Mapping[str, FloatArray]) -> str | None:
    """Name of the reference case that is the same image; None where there is none.

    A reference keeps no voxels and no hash of them. One image gives the same features wherever it is measured without
    the network, and two images never give the same in several spaces.

    Args:
        reference: The reference.
        features: Of the case, shape (d,) a space.
    """
    alike = np.zeros(len(reference.cases), dtype=np.int64)
    for name, vector in features.items():
        rows = reference.spaces[name].features
        if rows.shape[1] == len(vector):
            alike += np.isclose(rows, vector, rtol=_SAME, atol=_SAME).all(axis=1)
    found = np.flatnonzero(alike >= min(_SPACES_OF_A_DOUBLE, len(features)))
    return reference.cases[found[0]].case_id if len(found) else None
