"""No number that is none gets into a result, however deep it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.finite import refuse_not_finite, refuse_other_mask
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.ood.calibration import NotFiniteError
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

BAD = (float("nan"), float("inf"), float("-inf"), np.float32("nan"))
PLACES: dict[str, Callable[[Assessment, float], Assessment]] = {
    "a field": lambda a, x: replace(a, p_value=x),
    "a part": lambda a, x: replace(a, parts={**a.parts, "more": PartScore(1.0, 0.5, 50.0, x)}),
    "a neighbour": lambda a, x: replace(a, neighbours=(*a.neighbours, Neighbour("n", x, 1.0, None))),
    "the placement": lambda a, x: replace(a, placement=Placement(0.0, x, False)),
    "a time": lambda a, x: replace(a, timings_s={"load": x}),
    "the spacing": lambda a, x: replace(a, input=replace(a.input, spacing_mm=(1.0, x, 1.0))),
}


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_it_is(an_assessment: Assessment, place: str, value: float) -> None:
    refuse_not_finite(an_assessment)
    with pytest.raises(NotFiniteError):
        refuse_not_finite(an_assessment, PLACES[place](an_assessment, value))


def test_a_volume_is_looked_through_but_for_what_its_file_says(an_assessment: Assessment) -> None:
    volume = an_assessment.volume
    assert volume is not None
    told = Volume(volume.voxels, volume.geometry, "CT", "told", {"kvp": float("nan")})
    refuse_not_finite(replace(an_assessment, volume=told))
    holed = volume.voxels.copy()
    holed[0, 0, 0] = np.nan
    with pytest.raises(NotFiniteError):
        refuse_not_finite(replace(an_assessment, volume=Volume(holed, volume.geometry, "CT", "holed")))


def test_arrays_of_whole_numbers_and_texts_are_let_be() -> None:
    refuse_not_finite(np.arange(3), np.array([True]), "nan", None, {"n": [1, (2, "x")]}, np.zeros(0))
    with pytest.raises(NotFiniteError):
        refuse_not_finite({"n": [1, (np.array([0.0, np.nan]),)]})


def test_a_volume_or_mask_without_its_voxels_is_refused(make_assessment: Callable[..., Assessment]) -> None:
    """As no reader would see that it is one."""
    for part, name in (("segmentation", "labels"), ("volume", "voxels")):
        assessment = make_assessment()
        refuse_not_finite(assessment)
        image = getattr(assessment, part)
        object.__setattr__(image, name, getattr(image, name)[:-1])
        with pytest.raises(NotFiniteError, match="voxels are missing"):
            refuse_not_finite(assessment)


@pytest.mark.parametrize(
    ("marked", "volume_ml", "fits"),
    [("some", 0.5, True), ("some", 1500.0, True), ("some", 0.0, False), ("nothing", 0.0, True), ("nothing", 0.5, False),
     ("all", 0.5, True), ("no mask", 0.0, False), ("no mask", 0.5, False)],
)  # fmt: skip
def test_a_mask_is_empty_where_nothing_was_measured_and_nowhere_else(
    an_assessment: Assessment, marked: str, volume_ml: float, fits: bool
) -> None:
    mask = an_assessment.segmentation
    assert mask is not None
    labels = {"some": mask.labels, "nothing": np.zeros_like(mask.labels), "all": np.ones_like(mask.labels)}
    shown = replace(mask, labels=labels[marked]) if marked in labels else None
    judged = replace(an_assessment, segmentation=shown, volume_ml=volume_ml)
    if fits:
        refuse_other_mask(judged)
    else:
        with pytest.raises(ModelError, match="not the one that was measured"):
            refuse_other_mask(judged)
