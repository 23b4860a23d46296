"""What cannot be assessed is refused with one sentence that says what to choose instead, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.scene.grids import image_data
from BottleneckOODLib.scene.volume_node import refusal_of, volume_from_node

SIZE = (4, 5, 6)


def image_with(components: int, size: tuple[int, int, int] = SIZE) -> Any:
    image = vtk.vtkImageData()
    image.SetDimensions(*size)
    image.AllocateScalars(vtk.VTK_FLOAT, components)
    return image


def node_with(class_name: str, image: Any = None) -> Callable[[Any], Any]:
    def make(scene: Any) -> Any:
        node = scene.AddNewNodeByClass(class_name, "this one")
        if image is not None:
            node.SetAndObserveImageData(image)
        return node

    return make


def a_scan() -> Any:
    return image_data(np.zeros((6, 5, 4), np.int16))


def a_tensor_image() -> Any:
    image = vtk.vtkImageData()
    image.SetDimensions(*SIZE)
    tensors = vtk.vtkFloatArray()
    tensors.SetNumberOfComponents(9)
    tensors.SetNumberOfTuples(image.GetNumberOfPoints())
    image.GetPointData().SetTensors(tensors)
    return image


REFUSED = {
    "colours": (node_with("vtkMRMLVectorVolumeNode", image_with(3)), "colours"),
    "vectors of one component": (node_with("vtkMRMLVectorVolumeNode", image_with(1)), "vectors"),
    "several times in one volume": (node_with("vtkMRMLScalarVolumeNode", image_with(7)), "several values a voxel"),
    "a label map": (node_with("vtkMRMLLabelMapVolumeNode", a_scan()), "label map"),
    "diffusion weighted": (node_with("vtkMRMLDiffusionWeightedVolumeNode", image_with(6)), "diffusion"),
    "diffusion tensors": (node_with("vtkMRMLDiffusionTensorVolumeNode", a_tensor_image()), "tensors"),
    "a sequence": (node_with("vtkMRMLSequenceNode"), "current frame"),
    "a segmentation": (node_with("vtkMRMLSegmentationNode"), "segmentation"),
    "a table": (node_with("vtkMRMLTableNode"), "no volume"),
    "no voxels": (node_with("vtkMRMLScalarVolumeNode"), "no voxels"),
    "an empty image": (node_with("vtkMRMLScalarVolumeNode", vtk.vtkImageData()), "no voxels"),
    "a single slice": (node_with("vtkMRMLScalarVolumeNode", image_with(1, (64, 64, 1))), "single slice"),
    "a line": (node_with("vtkMRMLScalarVolumeNode", image_with(1, (64, 1, 1))), "single slice"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_in_one_sentence_and_left_as_it_is(a_scene: Any, scene_state: Any, kind: str) -> None:
    make, why = REFUSED[kind]
    node = make(a_scene)
    before = scene_state(a_scene)
    sentence = refusal_of(node)
    with pytest.raises(InputError) as refused:
        volume_from_node(node)
    assert str(refused.value) == sentence
    assert sentence is not None
    assert why in sentence
    assert "this one" in sentence
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    assert scene_state(a_scene) == before


def test_no_node_at_all_is_refused() -> None:
    assert "choose" in str(refusal_of(None))
    with pytest.raises(InputError, match="choose"):
        volume_from_node(None)


def test_a_scan_is_not_refused(a_scene: Any) -> None:
    assert refusal_of(node_with("vtkMRMLScalarVolumeNode", a_scan())(a_scene)) is None


def test_a_class_of_an_extension_is_judged_by_what_it_holds() -> None:
    """Multi-volumes come from an extension; they are scalar volumes with a component for each time."""
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName("DCE")
    node.SetAndObserveImageData(image_with(20))
    assert "several times" in str(refusal_of(node))
