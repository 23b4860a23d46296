"""The worklist in the panel: a case of a store with its mask and light in the scene, rated, edited, left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
from panel_session import PanelSession
from qt_harness.host import Host
from review_desktop import PATIENCE_S, patient
from review_stores import CASE_GRID, ReviewStore
from vtk.util.numpy_support import vtk_to_numpy

from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.scene.edited_mask import labels_in
from BottleneckOODLib.scene.mask import _labelmap
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist
from BottleneckOODLib.worker.client import Done

Grab = Callable[[Any, str], Any]
CASES = {"Bär": "red", "B & C": "green"}


class WorklistSession:
    """A panel with a store before it."""

    def __init__(self, session: PanelSession, review: ReviewStore, host: Host) -> None:
        self.panel, self.ui, self.scene = session, session.ui, session.scene
        self.review, self.host = review, host
        self.model = session.widget.panel.worklist.model
        # A busy machine is no store that does not answer.
        self.model._decisions._moment_s = PATIENCE_S
        self.model._open_session = patient

    def settle(self) -> None:
        """Until every question is answered."""
        self.host.spin_until(lambda: self.model._awaited.is_idle)
        self.host.spin_until(lambda: self.model._store is None or self.model._store.list._coming is None)

    def press(self, name: str) -> None:
        getattr(self.ui, name).click()
        self.settle()

    def open_store(self) -> None:
        self.ui.worklistReaderEdit.setText("Zoë")
        self.ui.storeEdit.currentPath = self.review.url
        self.press("openStoreButton")

    @property
    def listed(self) -> list[list[str]]:
        table = self.ui.worklistTable
        return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount())]

    @property
    def volumes(self) -> list[str]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return sorted(node.GetName() for node in nodes if not node.GetAttribute("BottleneckOOD.Role"))

    @property
    def segmentation(self) -> Any:
        return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]

    def edit(self) -> np.ndarray:
        image = self.segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation(_labelmap())
        labels = vtk_to_numpy(image.GetPointData().GetScalars())
        labels[100:140] = 1 - labels[100:140]
        image.Modified()
        return labels.reshape(CASE_GRID.shape).copy()

    def decisions(self, case: str) -> list[tuple[str, str]]:
        with Store(self.review.url) as store:
            return [(row.reader, row.rating) for row in StoredDecisions(store).decisions_of(case).decisions]


@pytest.fixture
def worklist(
    a_session: PanelSession, make_review_store: Callable[..., ReviewStore], the_application: Host
) -> WorklistSession:
    return WorklistSession(a_session, make_review_store(CASES), the_application)


@pytest.fixture
def a_case(worklist: WorklistSession) -> WorklistSession:
    """The first case is open."""
    worklist.open_store()
    worklist.press("nextCaseButton")
    return worklist


def test_nothing_can_be_pressed_before_a_store_is_open(worklist: WorklistSession) -> None:
    for name in ("closeStoreButton", "previousCaseButton", "nextCaseButton", "openCaseButton", "saveVersionButton"):
        assert not getattr(worklist.ui, name).isEnabled()
    assert worklist.ui.openStoreButton.isEnabled()
    worklist.press("openStoreButton")
    assert "Choose a store" in worklist.ui.worklistMessage.text()


def test_a_case_comes_with_its_image_mask_overlay_and_light(a_case: WorklistSession, grab: Grab) -> None:
    assert a_case.listed == [["B & C", "green", "waits", ""]]
    node = a_case.ui.volumeSelector.currentNode()
    assert node.GetName() == "Bär"
    original = read_volume(a_case.review.images["Bär"])
    assert np.array_equal(slicer.util.arrayFromVolume(node), original.voxels)
    mask = read_label_volume(a_case.review.cases["Bär"] / SEGMENTATION_FILE)
    assert labels_in(a_case.segmentation, mask) == mask
    assert a_case.ui.wordLabel.text() == "Very unusual"
    assert all("Very unusual" in words for words in a_case.panel.words_in_the_corners())
    assert a_case.ui.regionsCheckBox.isEnabled()
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == node.GetID()
    a_case.ui.stateSelector.setCurrentIndex(3)
    a_case.settle()
    assert a_case.listed == [["Bär", "red", "being read by Zoë", ""], ["B & C", "green", "waits", ""]]


def test_how_it_looks(
    a_session: PanelSession, make_review_store: Callable[..., ReviewStore], the_application: Host, grab: Grab
) -> None:
    lights = ("red", "red", "grey", "amber", "amber", "green", "green")
    store = make_review_store({f"abdomen {number}": light for number, light in enumerate(lights, start=11)})
    for case, reader in (("abdomen 13", "AB"), ("abdomen 12", "Zoë")):
        with Store(store.url) as opened:
            assert Worklist(opened).claim(case, reader)
            if reader == "Zoë":
                assessment = opened.assessment_of(case)
                assert assessment is not None
                StoredDecisions(opened).add(decide(assessment, "minor_edit", reader=reader, shown=shown_of(assessment)))
    worklist = WorklistSession(a_session, store, the_application)
    worklist.ui.stateSelector.setCurrentIndex(3)
    worklist.open_store()
    worklist.press("nextCaseButton")
    for name in ("caseSection", "viewsSection"):
        getattr(worklist.ui, name).setProperty("collapsed", True)
    for name in ("worklistSection", "reviewSection"):
        getattr(worklist.ui, name).setProperty("collapsed", False)
    worklist.ui.storeEdit.currentPath = "triage.db"
    worklist.edit()
    worklist.press("saveVersionButton")
    panel = worklist.panel.widget.parent
    panel.resize(520, 1400)
    panel.show()
    picture = grab(panel, "panel-worklist")
    assert picture.stat().st_size > 10_000


def test_the_next_case_takes_the_place_of_the_one_before(a_case: WorklistSession) -> None:
    nodes = a_case.scene.GetNumberOfNodes()
    a_case.press("nextCaseButton")
    assert a_case.volumes == ["B and C"]
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert a_case.ui.wordLabel.text() == "Similar to the training cases"
    a_case.press("previousCaseButton")
    assert a_case.volumes == ["Bär"]
    assert a_case.scene.GetNumberOfNodes() == nodes
    a_case.press("closeStoreButton")
    assert a_case.volumes == []
    assert a_case.listed == []


def test_keys_lead_on_and_back(a_case: WorklistSession) -> None:
    for keys, volume in (("Ctrl+Shift+N", "B and C"), ("Ctrl+Shift+B", "Bär"), ("Ctrl+Shift+N", "B and C")):
        a_case.panel.widget.panel._actions()[keys]()
        a_case.settle()
        assert a_case.volumes == [volume]


def test_a_rating_is_kept_in_the_store_and_not_in_the_scene(a_case: WorklistSession) -> None:
    a_case.panel.widget.panel._actions()["4"]()
    assert "review store" in a_case.ui.saveDecisionButton.toolTip()
    a_case.ui.saveDecisionButton.click()
    a_case.settle()
    assert a_case.decisions("Bär") == [("Zoë", "reject")]
    assert "Reject" in a_case.ui.decisionsLabel.text()
    roles = [node.GetAttribute("BottleneckOOD.Role") for node in slicer.util.getNodesByClass("vtkMRMLTextNode")]
    assert "decisions" not in roles
    a_case.ui.undoDecisionButton.click()
    assert a_case.decisions("Bär") == [("Zoë", "reject"), ("Zoë", "withdrawn")]


def test_a_volume_of_the_reader_s_own_is_decided_in_the_scene(a_case: WorklistSession) -> None:
    a_case.panel.a_ct_in_view("own")
    a_case.panel.assess("amber")
    a_case.ui.ratingButton2.click()
    assert "scene" in a_case.ui.saveDecisionButton.toolTip()
    a_case.ui.saveDecisionButton.click()
    assert a_case.decisions("Bär") == []
    roles = [node.GetAttribute("BottleneckOOD.Role") for node in slicer.util.getNodesByClass("vtkMRMLTextNode")]
    assert "decisions" in roles


def test_what_is_rated_while_a_volume_is_assessed_again_is_the_case_that_is_chosen(worklist: WorklistSession) -> None:
    worklist.panel.a_ct_in_view("own")
    worklist.panel.assess("green")
    worklist.ui.assessButton.click()
    worklist.open_store()
    worklist.press("nextCaseButton")
    assert worklist.ui.volumeSelector.currentNode().GetName() == "Bär"
    # What is told of it is its own, as in the corners, and not how far the other one is.
    assert worklist.ui.wordLabel.text() == "Very unusual"
    assert all("Very unusual" in words for words in worklist.panel.words_in_the_corners())
    worklist.ui.ratingButton4.click()
    worklist.ui.saveDecisionButton.click()
    assert worklist.decisions("Bär") == [("Zoë", "reject")]
    roles = [node.GetAttribute("BottleneckOOD.Role") for node in slicer.util.getNodesByClass("vtkMRMLTextNode")]
    assert sorted(roles) == ["record", "record"]
    worklist.panel.hear(Done(worklist.panel.result("green"), warm=False))
    assert worklist.ui.wordLabel.text() == "Very unusual"
    assert "by Zoë" in worklist.ui.decisionsLabel.text()


def test_who_rates_first_sees_no_light_until_then(worklist: WorklistSession) -> None:
    worklist.ui.blindFirstCheckBox.click()
    worklist.open_store()
    assert not worklist.ui.lightSelector.isEnabled()
    assert {row[1] for row in worklist.listed} == {"hidden"}
    worklist.press("nextCaseButton")
    assert worklist.ui.wordLabel.text() == "Light hidden"
    assert worklist.panel.words_in_the_corners() == ["", "", ""]
    worklist.ui.ratingButton4.click()
    worklist.ui.saveDecisionButton.click()
    assert worklist.ui.wordLabel.text() == "Very unusual"
    with Store(worklist.review.url) as store:
        (row,) = StoredDecisions(store).decisions_of("Bär").decisions
    assert (row.blind_first, row.shown) == (True, None)


@pytest.mark.parametrize("answer", ["Save as new version", "Leave", "Cancel"])
def test_edits_are_asked_about_before_they_are_left(a_case: WorklistSession, answer: str) -> None:
    labels = a_case.edit()
    window = slicer.util.mainWindow()

    def press(box: Any) -> None:
        assert box.parent() is window
        next(button for button in box.buttons() if button.text() == answer).click()

    a_case.host.answers.append(press)
    a_case.press("nextCaseButton")
    (asked,) = a_case.host.asked
    assert set(asked.buttons) == {"Save as new version", "Leave", "Cancel"}
    assert "Bär" in asked.text
    saved = edited_versions(a_case.review.cases["Bär"])
    assert [(one.file, one.reader) for one in saved] == (
        [("segmentation.v2.seg.nrrd", "Zoë")] if answer.startswith("Save") else []
    )
    assert a_case.volumes == (["Bär"] if answer == "Cancel" else ["B and C"])
    if saved:
        again = read_label_volume(a_case.review.cases["Bär"] / saved[0].file)
        original = read_label_volume(a_case.review.cases["Bär"] / SEGMENTATION_FILE)
        assert np.array_equal(again.labels, labels)
        # NRRD keeps spacing and direction as one vector: the last digit of either is rounded.
        assert again.geometry.is_close(original.geometry, 1e-9)
    if answer == "Cancel":
        a_case.host.answers.append("Leave")
        a_case.press("closeStoreButton")


def test_an_edited_mask_is_saved_beside_the_original(a_case: WorklistSession) -> None:
    a_case.press("saveVersionButton")
    assert "nothing to save" in a_case.ui.worklistMessage.text()
    labels = a_case.edit()
    a_case.press("saveVersionButton")
    assert "segmentation.v2.seg.nrrd" in a_case.ui.worklistMessage.text()
    saved = read_label_volume(a_case.review.cases["Bär"] / "segmentation.v2.seg.nrrd")
    assert np.array_equal(saved.labels, labels)
    a_case.press("nextCaseButton")
    assert a_case.volumes == ["B and C"]


def test_the_case_is_given_back_when_slicer_or_the_scene_is_closed(a_case: WorklistSession) -> None:
    def claimed() -> list[str]:
        with Store(a_case.review.url) as store:
            return [waiting.case_id for waiting in Worklist(store).page() if waiting.claimed_by]

    assert claimed() == ["Bär"]
    a_case.scene.Clear()
    a_case.host.spin_until(lambda: not claimed())
    assert a_case.model.state.case_id == ""
    a_case.press("nextCaseButton")
    assert a_case.volumes == ["Bär"]
    a_case.host.about_to_quit()
    # Slicer waits for the store no more than a moment, and the store goes on giving the case back.
    a_case.host.spin_until(lambda: not claimed())


def test_a_case_of_the_worklist_is_neither_assessed_nor_removed_with_its_edits(a_case: WorklistSession) -> None:
    a_case.ui.assessButton.click()
    assert "from the worklist" in a_case.ui.messageLabel.text()
    assert a_case.panel.runner.asked == []
    a_case.ui.removeResultButton.click()
    assert "from the worklist" in a_case.ui.messageLabel.text()
    assert a_case.ui.wordLabel.text() == "Very unusual"


def test_another_case_of_the_same_name_in_the_scene_is_left_alone(worklist: WorklistSession) -> None:
    worklist.panel.a_ct_in_view("Bär")
    worklist.panel.assess("green")
    before = worklist.scene.GetNumberOfNodes()
    worklist.open_store()
    worklist.press("nextCaseButton")
    assert "holds a case called Bär already" in worklist.ui.worklistMessage.text()
    assert worklist.scene.GetNumberOfNodes() == before
    assert worklist.ui.wordLabel.text() == "Similar to the training cases"
    worklist.press("nextCaseButton")
    assert worklist.volumes == ["B and C", "Bär"]


def test_another_case_of_the_same_name_that_is_being_assessed_is_left_alone(worklist: WorklistSession) -> None:
    worklist.panel.a_ct_in_view("Bär")
    worklist.ui.assessButton.click()
    worklist.open_store()
    worklist.press("nextCaseButton")
    assert "holds a case called Bär already" in worklist.ui.worklistMessage.text()
    worklist.panel.hear(Done(worklist.panel.result("green"), warm=False))
    assert worklist.volumes == ["Bär"]
    assert worklist.ui.wordLabel.text() == "Similar to the training cases"
    worklist.ui.ratingButton1.click()
    worklist.ui.saveDecisionButton.click()
    assert worklist.decisions("Bär") == []


def test_the_list_keeps_the_case_that_is_highlighted_and_not_its_place(worklist: WorklistSession) -> None:
    worklist.open_store()
    table = worklist.ui.worklistTable

    def read_by_another(case: str, *, until_read: bool) -> list[str]:
        with Store(worklist.review.url) as store:
            work = Worklist(store)
            assert work.claim(case, "Bo") if until_read else work.release(case, "Bo") is None
        worklist.model.decided()
        worklist.settle()
        assert {item.row() for item in table.selectedItems()} == ({table.currentRow()} - {-1})
        return [row[0] for row in worklist.listed]

    table.selectRow(0)
    assert read_by_another("Bär", until_read=True) == ["B & C"]
    assert table.currentRow() == -1
    assert not worklist.ui.openCaseButton.isEnabled()
    table.selectRow(0)
    assert read_by_another("Bär", until_read=False) == ["Bär", "B & C"]
    assert table.currentRow() == 1
    worklist.press("openCaseButton")
    assert worklist.volumes == ["B and C"]


def test_what_was_chosen_is_chosen_again(worklist: WorklistSession, the_application: Host) -> None:
    worklist.ui.greenShareSpinBox.setValue(10)
    worklist.ui.readingsSpinBox.setValue(2)
    worklist.open_store()
    worklist.panel.widget.onReload()
    ui = slicer.modules.BottleneckOODWidget.ui
    assert ui.storeEdit.currentPath == worklist.review.url
    assert (ui.greenShareSpinBox.value(), ui.readingsSpinBox.value()) == (10, 2)
    assert (ui.worklistReaderEdit.text(), ui.readerEdit.text()) == ("Zoë", "Zoë")


def test_no_password_is_kept(worklist: WorklistSession, the_application: Host) -> None:
    worklist.ui.storeEdit.currentPath = "postgresql://ann:secret@server:port/name"
    worklist.press("openStoreButton")
    assert "no database URL" in worklist.ui.worklistMessage.text()
    worklist.panel.widget.onReload()
    assert slicer.modules.BottleneckOODWidget.ui.storeEdit.currentPath == "postgresql://ann@server:port/name"


def test_one_name_for_the_whole_panel(worklist: WorklistSession) -> None:
    worklist.ui.readerEdit.setText("AB")
    assert worklist.ui.worklistReaderEdit.text() == "AB"
    worklist.ui.worklistReaderEdit.setText("ABC")
    assert worklist.ui.readerEdit.text() == "ABC"
    assert worklist.panel.widget.panel.review_model.state.reader == "ABC"
