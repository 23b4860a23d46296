"""A comparable picture of a whole scene, for every test that says: the scene is as it was."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.scene.restore import cases_in

NodeState = dict[str, Any]


def state_of_scene(scene: Any) -> dict[str, NodeState]:
    """Everything that a scene holds, by node ID, to be compared: properties and references as they would be saved,
    attributes, and a checksum of what is too large for that."""
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    kept = scene.GetSaveToXMLString()
    scene.SetSaveToXMLString(1)
    scene.Commit()
    saved = re.findall(r"<\w+\s+id=\"([^\"]+)\"(.*?)(?=<\w+\s+id=\"|\Z)", scene.GetSceneXMLString(), re.DOTALL)
    scene.SetSaveToXMLString(kept)
    properties = dict(saved)
    return {
        node.GetID(): {
            "class": node.GetClassName(),
            "name": node.GetName(),
            "attributes": {name: node.GetAttribute(name) for name in node.GetAttributeNames()},
            "references": references_of(node),
            "properties": properties.get(node.GetID()),
            "content": content_of(node),
        }
        for node in nodes
    }


def assessments_in(scene: Any) -> dict[str, Assessment]:
    """What a scene says of each case."""
    return {case: found.assessment for case, found in cases_in(scene).items()}


def references_of(node: Any) -> dict[str, list[str]]:
    roles: list[str] = []
    node.GetNodeReferenceRoles(roles)
    return {
        role: [node.GetNthNodeReferenceID(role, n) for n in range(node.GetNumberOfNodeReferences(role))]
        for role in roles
        # Asking for a reference that is not there makes an empty role.
        if node.GetNumberOfNodeReferences(role)
    }


def content_of(node: Any) -> str:
    digest = hashlib.sha256()
    if node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is not None:
        add_image(digest, node.GetImageData())
    elif node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        for segment_id in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(segment_id)
            names: list[str] = []
            segment.GetContainedRepresentationNames(names)
            digest.update(repr((segment_id, segment.GetName(), segment.GetColor(), names)).encode())
            image = segment.GetRepresentation("Binary labelmap")
            if image is not None:
                matrix = vtk.vtkMatrix4x4()
                image.GetImageToWorldMatrix(matrix)
                digest.update(slicer.util.arrayFromVTKMatrix(matrix).tobytes())
                add_image(digest, image)
    elif node.IsA("vtkMRMLTableNode") and node.GetTable() is not None:
        table = node.GetTable()
        rows = [
            [table.GetValue(row, column).ToString() for column in range(table.GetNumberOfColumns())]
            for row in range(table.GetNumberOfRows())
        ]
        digest.update(repr(rows).encode())
    elif node.IsA("vtkMRMLTextNode"):
        digest.update((node.GetText() or "").encode())
    elif node.IsA("vtkMRMLTransformNode"):
        digest.update(repr(slicer_points_through(node)).encode())
    return digest.hexdigest()


def add_image(digest: Any, image: Any) -> None:
    digest.update(repr((image.GetExtent(), image.GetSpacing(), image.GetOrigin())).encode())
    scalars = image.GetPointData().GetScalars()
    if scalars is not None:
        digest.update(vtk_to_numpy(scalars).tobytes())


def slicer_points_through(transform: Any) -> list[tuple[float, ...]]:
    through = transform.GetTransformToParent()
    points = np.random.default_rng(0).uniform(-300, 300, (20, 3))
    return [tuple(round(value, 9) for value in through.TransformPoint(*point)) for point in points]


@pytest.fixture(scope="session")
def scene_state() -> Callable[[Any], dict[str, NodeState]]:
    """Takes a comparable picture of every node of a scene: equal before and after means that nothing was changed."""
    return state_of_scene
