"""Where a case is unusual, in the panel: over its own volume only, and as the user wants it."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
from panel_session import PanelSession

from BottleneckOODLib.assessment.wording import NO_REGIONS, REGIONS_NOTE
from BottleneckOODLib.scene.volume_node import refusal_of
from BottleneckOODLib.worker.protocol import Working

OVERLAY = ["abdomen unusual regions"] * 3
NOTHING = ["", "", ""]


@pytest.fixture
def an_overlay(a_session: PanelSession) -> PanelSession:
    """A case with a map of unusual regions, which is shown."""
    a_session.a_ct_in_view()
    a_session.assess("amber", regions=True)
    a_session.ui.regionsCheckBox.click()
    return a_session


def middles_of_the_views() -> list[list[float]]:
    """Where the middle of each slice view lies, RAS in mm."""
    manager = slicer.app.layoutManager()
    logics = [manager.sliceWidget(name).sliceLogic() for name in manager.sliceViewNames()]
    matrices = [logic.GetSliceNode().GetSliceToRAS() for logic in logics]
    return [[matrix.GetElement(row, 3) for row in range(3)] for matrix in matrices]


def opacities() -> list[float]:
    manager = slicer.app.layoutManager()
    names = manager.sliceViewNames()
    return [manager.sliceWidget(n).sliceLogic().GetSliceCompositeNode().GetForegroundOpacity() for n in names]


def test_the_overlay_comes_and_goes_with_its_switch_and_its_key(an_overlay: PanelSession) -> None:
    assert an_overlay.foregrounds() == OVERLAY
    an_overlay.ui.regionsCheckBox.click()
    assert an_overlay.foregrounds() == NOTHING
    an_overlay.widget.panel._actions()["Ctrl+Shift+U"]()
    assert an_overlay.foregrounds() == OVERLAY
    assert REGIONS_NOTE in an_overlay.ui.regionsNote.text()


def test_the_slider_changes_how_much_of_the_image_it_covers(an_overlay: PanelSession) -> None:
    an_overlay.ui.regionsOpacity.setProperty("value", 0.25)
    assert opacities() == pytest.approx([0.25] * 3)


def test_the_views_go_to_the_most_unusual_place(an_overlay: PanelSession) -> None:
    an_overlay.ui.jumpUnusualButton.click()
    # Cell (3, 2, 1) of 80 x 60 x 40 mm cells from (-160, -120, 0) LPS.
    for middle in middles_of_the_views():
        assert middle == pytest.approx([-80.0, 0.0, 40.0])


def test_it_does_not_lie_over_another_volume(an_overlay: PanelSession) -> None:
    panel, own = an_overlay, an_overlay.ui.volumeSelector.currentNode()
    panel.view(panel.add_ct("another"))
    assert panel.foregrounds() == NOTHING
    panel.view(own)
    assert panel.foregrounds() == OVERLAY


def test_the_overlay_of_another_case_goes_too(an_overlay: PanelSession) -> None:
    panel, own = an_overlay, an_overlay.ui.volumeSelector.currentNode()
    other = panel.add_ct("another")
    panel.choose(other)
    assert panel.foregrounds() == OVERLAY
    panel.view(other)
    assert panel.foregrounds() == NOTHING
    panel.choose(panel.view(own))
    assert panel.foregrounds() == OVERLAY


def test_what_the_user_did_in_the_views_stays_while_another_case_runs(an_overlay: PanelSession) -> None:
    panel, other = an_overlay, an_overlay.add_ct("another")
    panel.choose(other)
    panel.ui.assessButton.click()
    slicer.util.setSliceViewerLayers(foreground=other)
    mask = panel.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode").GetDisplayNode()
    mask.SetVisibility(False)
    panel.hear(Working(1, "Segmenting", 0.4, 9.0, ""))
    assert panel.foregrounds() == ["another"] * 3
    assert not mask.GetVisibility()


def test_a_training_case_s_card_stays_while_a_reference_is_built(an_overlay: PanelSession, tmp_path: Any) -> None:
    panel = an_overlay
    panel.ui.neighboursTable.selectRow(1)
    card = panel.ui.cardLabel.text()
    assert "train-2" in card
    panel.ui.casesEdit.setProperty("currentPath", str(tmp_path))
    panel.ui.referenceNameEdit.setText("mine")
    panel.ui.buildButton.click()
    panel.hear(Working(1, "Case 1 of 20", 0.1, 90.0, ""))
    assert panel.ui.cardLabel.text() == card


def test_without_the_reference_s_parts_the_panel_says_why_there_is_none(a_session: PanelSession) -> None:
    a_session.a_ct_in_view()
    a_session.assess("green")
    assert a_session.ui.regionsNote.text() == NO_REGIONS
    assert not a_session.ui.regionsCheckBox.isEnabled()
    assert not a_session.ui.jumpUnusualButton.isEnabled()


def test_the_overlay_itself_is_no_case(an_overlay: PanelSession) -> None:
    panel = an_overlay
    overlay = panel.scene.GetFirstNodeByName("abdomen unusual regions")
    panel.choose(overlay)
    assert panel.ui.volumeSelector.currentNode() is not overlay
    assert not panel.ui.assessButton.isEnabled()
    assert panel.ui.wordLabel.text() == "No result yet"
    assert "made of a result" in str(refusal_of(overlay))
