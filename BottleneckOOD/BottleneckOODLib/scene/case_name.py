"""The case's name for a volume of the scene: stable, and another for each volume and each frame of a sequence."""

from __future__ import annotations

from typing import Any

from BottleneckOODLib.imaging.reading import LONGEST_NAME, safe_name
from BottleneckOODLib.scene.naming import node_name, text_of
from BottleneckOODLib.scene.nodes import DECISIONS_ROLE, FRAME_ATTRIBUTE, RECORD_ROLE, VOLUME_REFERENCE, records_in
from BottleneckOODLib.scene.volume_node import refusal_of

_LONGEST_INDEX = 30


def case_id_for(volume_node: Any) -> str:
    """The case's name for a volume: the one under which it was assessed before, or a new one after its node's name.

    Volumes of the same name are numbered in the scene's order, ``CT``, ``CT (2)``, whichever is assessed first. The
    frame of a sequence that is shown has its index value in its name, ``CT [time 3]``. The names live in the records:
    nothing is written to the user's volumes. A name that results or decisions bear is another volume's, also when that
    volume is gone: it may have been another patient's.
    """
    scene, frame = volume_node.GetScene(), frame_of(volume_node)
    taken: set[str] = set()
    for role in (RECORD_ROLE, DECISIONS_ROLE):
        named = list(records_in(scene, role))
        for case, node in named:
            is_its = node.GetNodeReference(VOLUME_REFERENCE) is volume_node and is_shown_frame(volume_node, node)
            # Decisions stay when their result is removed; another volume's result may have that name by now.
            if is_its and case not in taken:
                return case
        taken.update(case for case, _ in named)
    name = base_name(volume_node, frame)
    number = _number_among_namesakes(volume_node, name)
    while (candidate := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return candidate


def frame_of(volume_node: Any) -> str | None:
    """The index value of the frame of a sequence that a volume shows now; None for a volume of no sequence.

    Whoever reads a case asks for it then and hands it to ``show``: another frame may be shown when the result comes.
    """
    browser, sequence = _sequence_of(volume_node)
    if sequence is None:
        return None
    selected = browser.GetSelectedItemNumber()
    master = browser.GetMasterSequenceNode()
    return "" if selected < 0 or master is None else str(master.GetNthIndexValue(selected))


def is_shown_frame(volume_node: Any, record: Any) -> bool:
    """Whether the volume shows the frame that a record is about; True for a volume of no sequence."""
    return _recorded_frame(record) == frame_of(volume_node)


def base_name(volume_node: Any, frame: str | None) -> str:
    """A volume's name as a case's, before it is told from its namesakes'."""
    if frame is None:
        return safe_name(node_name(volume_node.GetName() or "volume"))
    browser, sequence = _sequence_of(volume_node)
    index_name = browser.GetMasterSequenceNode().GetIndexName() or "frame"
    frame_name = node_name(f" [{index_name[:_LONGEST_INDEX]} {frame[:_LONGEST_INDEX]}]")
    # The proxy's own name changes with the frame; the sequence's does not. What is too long loses the sequence's end.
    name = node_name(sequence.GetName() or "volume")[: LONGEST_NAME - len(frame_name)].rstrip()
    return safe_name(name + frame_name)


def _recorded_frame(record: Any) -> str | None:
    attribute = record.GetAttribute(FRAME_ATTRIBUTE)
    return None if attribute is None else text_of(attribute)


def _sequence_of(volume_node: Any) -> tuple[Any, Any]:
    """The browser and the sequence whose current frame a volume is, or two Nones."""
    scene = volume_node.GetScene()
    for index in range(0 if scene is None else scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = scene.GetNthNodeByClass(index, "vtkMRMLSequenceBrowserNode")
        sequence = browser.GetSequenceNode(volume_node)
        if sequence is not None and browser.GetMasterSequenceNode() is not None:
            return browser, sequence
    return None, None


def _number_among_namesakes(volume_node: Any, name: str) -> int:
    scene, number = volume_node.GetScene(), 1
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        other = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if other is volume_node:
            break
        number += refusal_of(other) is None and base_name(other, frame_of(other)) == name
    return number
