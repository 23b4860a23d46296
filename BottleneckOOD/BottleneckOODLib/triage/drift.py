"""Whether the cases of a store have moved away from the reference, over time and by where they come from, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.drift import LEAST_CASES, batch_test, control_chart
from BottleneckOODLib.triage.store import Found

FloatArray = npt.NDArray[np.float64]

LEAST_IN_TIME = 20
"""A change needs a time before it: below this many cases nothing is said of one."""
LEVEL = 0.01
"""A batch counts as different at this p-value: looked at every day, one in twenty would cry wolf too often."""


def drift_sentences(
    results: Iterable[Found], calibration: FloatArray, folders: Mapping[str, str] | None = None
) -> list[str]:
    """What the control chart and the two-sample test say, one sentence each.

    Args:
        results: The newest result of every case, in the order in which the cases came.
        calibration: The reference's own scores, see ``Reference.combined_calibration``.
        folders: Where each case comes from, to tell sources apart; None looks at all cases together.
    """
    judged = [found for found in results if found.p_value is not None and found.score is not None]
    sentences = [over_time(judged), as_a_whole("all cases", judged, calibration)]
    if folders is not None:
        groups: dict[str, list[Found]] = {}
        for found in judged:
            groups.setdefault(folders.get(found.case_id, ""), []).append(found)
        if len(groups) > 1:
            sentences += [as_a_whole(name, groups[name], calibration) for name in sorted(groups)]
    return sentences


def over_time(judged: list[Found]) -> str:
    """What the control chart says of judged cases, in the order in which they came."""
    chart = control_chart(np.array([found.p_value for found in judged], dtype=np.float64))
    if len(judged) < LEAST_CASES:
        return f"Over time: {len(judged)} judged cases are too few to say anything."
    if len(judged) < LEAST_IN_TIME:
        unusual = "" if chart.alarm is None else "; they are more unusual than the training cases, so look at them"
        return f"Over time: {len(judged)} judged cases are too few to tell a change from a mixed batch{unusual}."
    if chart.alarm is None or chart.begun is None:
        return f"Over time: no drift in {len(judged)} cases (control chart, one false alarm in about 930 cases)."
    since, seen = judged[chart.begun], judged[chart.alarm]
    return (
        f"Over time: the cases have become more unusual since {since.case_id} ({since.created[:10]}), noticed at "
        f"{seen.case_id}; look at what changed there: scanner, protocol, patients."
    )


def as_a_whole(name: str, judged: list[Found], calibration: FloatArray) -> str:
    """Whether some judged cases differ from the reference, see ``drift_sentences``."""
    test = batch_test(np.array([found.score for found in judged], dtype=np.float64), calibration)
    if test is None:
        return f"{name}: {len(judged)} judged cases are too few to compare with the reference."
    verdict = "differ from" if test.p_value <= LEVEL else "are not told apart from"
    return (
        f"{name}: {test.n_batch} cases {verdict} the {test.n_reference} reference cases "
        f"({100 * test.share_above_median:.0f}% are more unusual than half of them, p {test.p_value:.2g})."
    )
