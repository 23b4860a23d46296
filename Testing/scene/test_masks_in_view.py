"""No mask lies over an image that it was not made on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.scene.masks_in_view import follow_the_views
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.volume_node import add_volume_node


@pytest.fixture
def two_patients(a_scene: Any, make_assessment: Callable[..., Assessment]) -> tuple[Any, Any, Any]:
    """An assessed volume with its mask, one that was not assessed, and a slice view's layers."""
    assessment = make_assessment(case_id="first")
    first = add_volume_node(a_scene, assessment.volume, "first")
    second = add_volume_node(a_scene, assessment.volume, "second")
    mask = show(assessment, a_scene, first).segmentation
    layers = a_scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    return (first, second, layers), mask.GetDisplayNode(), a_scene


def test_a_mask_goes_and_comes_with_its_volume(two_patients: Any) -> None:
    (first, second, layers), display, scene = two_patients
    layers.SetBackgroundVolumeID(first.GetID())
    follow_the_views(scene)
    assert display.GetVisibility()
    layers.SetBackgroundVolumeID(second.GetID())
    follow_the_views(scene)
    assert not display.GetVisibility()
    layers.SetBackgroundVolumeID(first.GetID())
    follow_the_views(scene)
    assert display.GetVisibility()


def test_a_mask_that_the_user_hid_stays_hidden(two_patients: Any) -> None:
    (first, second, layers), display, scene = two_patients
    display.SetVisibility(False)
    for volume in (second, first):
        layers.SetBackgroundVolumeID(volume.GetID())
        follow_the_views(scene)
        assert not display.GetVisibility()


def test_views_that_show_nothing_change_nothing(two_patients: Any) -> None:
    _, display, scene = two_patients
    follow_the_views(scene)
    assert display.GetVisibility()
