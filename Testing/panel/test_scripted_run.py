"""The module for scripts: whatever happens while a case runs, the job ends with it, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slicer

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import Cancelled, InputError, ModelError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.scene.shown_case import case_on
from BottleneckOODLib.scene.volume_node import add_volume_node
from BottleneckOODLib.worker.client import Done, Failed

MakeAssessment = Callable[..., Assessment]


class ARunThatEnds:
    """Stands for the worker's client: a beat of the application does what the test wants, a stop is heard."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def stop(self) -> None:
        self._runner.stop()
        self._runner.coming = [Failed("The run was stopped; nothing was changed.", stopped=True)]


@pytest.fixture
def a_run(a_runner: Any) -> ARunThatEnds:
    return ARunThatEnds(a_runner)


@pytest.fixture
def a_node(the_application: Any, a_small_ct: Volume) -> Any:
    return add_volume_node(the_application.scene, a_small_ct, "abdomen")


@pytest.fixture
def at_the_next_beat(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Something happens while the application draws."""

    def happens(what: Callable[[], Any]) -> None:
        monkeypatch.setattr(slicer.app, "processEvents", what, raising=False)

    return happens


def assess(runner: Any, node: Any) -> Assessment:
    from BottleneckOODLib.widgets.scripted_run import assess_and_show

    return assess_and_show(runner, node)


def done(run: Any, node: Any, make_assessment: MakeAssessment, a_small_ct: Volume) -> None:
    case = run.asked[-1][0]
    run._runner.coming = [Done(make_assessment("green", geometry=a_small_ct.geometry, case_id=case), warm=True)]


def test_the_result_is_shown_and_given_back(
    a_run: Any, a_node: Any, at_the_next_beat: Any, make_assessment: MakeAssessment, a_small_ct: Volume
) -> None:
    at_the_next_beat(lambda: done(a_run, a_node, make_assessment, a_small_ct))
    assert assess(a_run, a_node).light == "green"
    shown = case_on(a_node)
    assert shown is not None
    assert shown.light == "green"
    assert a_run.stops == 0


@pytest.mark.parametrize("how", ["removed", "closed", "closed and opened again"])
def test_a_volume_that_goes_meanwhile_is_one_sentence_and_its_job_ends(
    a_run: Any, a_node: Any, at_the_next_beat: Any, a_small_ct: Volume, how: str
) -> None:
    scene = slicer.mrmlScene

    def go() -> None:
        if how == "removed":
            scene.RemoveNode(a_node)
        else:
            scene.Clear()
        if how == "closed and opened again":
            add_volume_node(scene, a_small_ct, "abdomen")

    at_the_next_beat(go)
    with pytest.raises(InputError, match="was removed while it was assessed"):
        assess(a_run, a_node)
    assert a_run.stops == 1
    assert not a_run.busy
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0


def test_a_result_that_comes_together_with_the_end_of_its_volume_is_not_shown(
    a_run: Any, a_node: Any, at_the_next_beat: Any, make_assessment: MakeAssessment, a_small_ct: Volume
) -> None:
    def go() -> None:
        done(a_run, a_node, make_assessment, a_small_ct)
        slicer.mrmlScene.RemoveNode(a_node)

    at_the_next_beat(go)
    with pytest.raises(InputError, match="was removed while it was assessed"):
        assess(a_run, a_node)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_result_that_the_panel_took_ends_the_script_s_run_too(
    a_run: Any, a_node: Any, at_the_next_beat: Any, make_assessment: MakeAssessment, a_small_ct: Volume
) -> None:
    def panel_ticks() -> None:
        done(a_run, a_node, make_assessment, a_small_ct)
        a_run.poll()

    at_the_next_beat(panel_ticks)
    with pytest.raises(InputError, match="went to the module's panel"):
        assess(a_run, a_node)


def test_an_interrupt_stops_the_job_and_the_next_one_can_start(
    a_run: Any, a_node: Any, at_the_next_beat: Any, make_assessment: MakeAssessment, a_small_ct: Volume
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    at_the_next_beat(interrupt)
    with pytest.raises(KeyboardInterrupt):
        assess(a_run, a_node)
    assert a_run.stops == 1
    assert not a_run.busy
    at_the_next_beat(lambda: done(a_run, a_node, make_assessment, a_small_ct))
    assert assess(a_run, a_node).light == "green"


def test_a_job_that_does_not_stop_is_closed(a_runner: Any, a_node: Any, at_the_next_beat: Any) -> None:
    at_the_next_beat(lambda: slicer.mrmlScene.RemoveNode(a_node))
    with pytest.raises(InputError):
        assess(a_runner, a_node)
    assert (a_runner.stops, a_runner.closed) == (1, 1)


@pytest.mark.parametrize(("stopped", "kind"), [(True, Cancelled), (False, ModelError)])
def test_a_failure_is_its_sentence(
    a_run: Any, a_node: Any, at_the_next_beat: Any, stopped: bool, kind: type[Exception]
) -> None:
    def fail() -> None:
        a_run._runner.coming = [Failed("A sentence.", stopped=stopped)]

    at_the_next_beat(fail)
    with pytest.raises(kind, match="A sentence"):
        assess(a_run, a_node)
    assert a_run.stops == 0


@pytest.mark.parametrize("stated", ["PT", "NM", "US"])
def test_what_is_stated_to_be_neither_ct_nor_mr_is_refused(a_run: Any, a_node: Any, stated: str) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), a_node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", stated)
    with pytest.raises(InputError, match=stated):
        assess(a_run, a_node)
    assert a_run.asked == []


def test_no_volume_at_all_is_one_sentence(the_application: Any, a_run: Any) -> None:
    with pytest.raises(InputError, match="volume"):
        assess(a_run, None)


def test_the_worker_of_a_logic_goes_with_it(
    a_module_widget: Any, the_application: Any, a_ct_file: Path, spin_until: Callable[..., None]
) -> None:
    """As of ``BottleneckOODLogic().assess(node)`` in a loop."""
    module = type(a_module_widget.logic)
    node = add_volume_node(the_application.scene, read_volume(a_ct_file, modality="CT"), "a case")
    logic = module()
    assert logic.assess(node, modality="CT").light == "green"
    # Neither of the two holds the logic.
    exchange, process = logic.runner._process.exchange, logic.runner._process._process
    assert process.poll() is None
    del logic
    spin_until(lambda: process.poll() is not None)
    spin_until(lambda: not exchange.exists())
