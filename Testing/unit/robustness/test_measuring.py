"""The benchmark's light is the program's."""

from __future__ import annotations

from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.robustness.detectors import combined, light_of_all
from BottleneckOODLib.robustness.measuring import measure


def test_a_mask_that_the_scan_s_edge_cuts_has_the_same_light_as_when_it_is_assessed(
    tiny_logic: BottleneckOODLogic, a_reference_volume: Volume
) -> None:
    assessment = tiny_logic.assess(a_reference_volume)
    marked = {check.name for check in assessment.checks if check.state == "soft" and check.name not in assessment.parts}
    assert marked == {"mask_border"}
    shown = tiny_logic.reference.extent_range
    measured = measure(a_reference_volume, None, tiny_logic.segmenter, "mean", shown=shown)
    p_value = combined(tiny_logic.reference, measured).p_value
    assert light_of_all(p_value, measured.failed_checks) == assessment.light == "green"
