"""A model for T1w MR, added from a checkpoint, through the whole path: reference, light, checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets.segresnet import SegResNet

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.catalogue import HOME_VARIABLE
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.volume import Geometry, Volume
from BottleneckOODLib.logic import BottleneckOODLogic

N_CASES = 20
ARGUMENTS = {"in_channels": 1, "out_channels": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


def an_mr(seed: int, gain: float = 1.0) -> Volume:
    """A shaded body of positive values in noise, as a coil sees it, obliquely cut."""
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[:24, :40, :50]
    wide, high = random.uniform(0.75, 0.9, 2)
    ring = ((x - 25) / (25 * wide)) ** 2 + ((y - 20) / (20 * high)) ** 2
    tissue = np.where(ring < 1, np.where(ring < 0.75, 320.0, 600.0), 8.0) * (1 + 0.15 * np.sin(z / 5))
    voxels = np.abs(tissue + random.normal(0, 15, (24, 40, 50))) * gain
    turn = np.deg2rad(8)
    axes = (np.cos(turn), -np.sin(turn), 0.0, np.sin(turn), np.cos(turn), 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry((50, 40, 24), (6.0, 6.0, 7.0), (-150.0, -90.0, 0.0), axes)
    return Volume(voxels.astype(np.float32), geometry, "MR", "t1")


@pytest.fixture(scope="module")
def a_logic(tmp_path_factory: pytest.TempPathFactory) -> BottleneckOODLogic:
    folder = tmp_path_factory.mktemp("own")
    patch = pytest.MonkeyPatch()
    patch.setenv(HOME_VARIABLE, str(folder / "home"))
    torch.manual_seed(2)
    torch.save({"model": SegResNet(**ARGUMENTS).state_dict()}, folder / "best.pt")
    typed = ["model", "add", "my-mr", "--network", "seg_resnet", "--weights", str(folder / "best.pt")]
    for name, value in ARGUMENTS.items():
        typed += ["--argument", f"{name}={value}"]
    typed += ["--modality", "MR", "--orientation", "RAS", "--spacing", "6,6,8", "--patch", "32,32,16"]
    typed += ["--intensity", "clip-percentiles:1,99", "--intensity", "z-score:foreground", "--overlap", "0"]
    typed += ["--label", "liver=1", "--label", "tumour=2", "--merge", "tumour"]
    assert main(typed) == 0
    logic = BottleneckOODLogic("my-mr", device="cpu")
    cases = (CaseForReference(f"case-{n}", lambda n=n: (an_mr(n), None)) for n in range(N_CASES))  # type: ignore[misc]
    logic.build_reference("mr", cases, n_cases=N_CASES).save(folder / "reference")
    patch.undo()
    return BottleneckOODLogic(logic.model.folder, folder / "reference", device="cpu")


def states(assessment: Assessment) -> dict[str, str]:
    return {check.name: check.state for check in assessment.checks}


def test_an_mr_is_judged_and_hounsfield_units_are_not_asked_of_it(a_logic: BottleneckOODLogic, tmp_path: Path) -> None:
    assessment = a_logic.assess(an_mr(99))
    found = states(assessment)
    assert found["modality"] == "met"
    assert found["intensity_scale"] == found["orientation"] == "not_assessed"
    assert assessment.p_value is not None
    assert assessment.segmentation is not None
    assert assessment.segmentation.names == {1: "liver"}
    assert set(np.unique(assessment.segmentation.labels)) <= {0, 1}
    assert Assessment.load(assessment.save(tmp_path, picture=False)).p_value == assessment.p_value


def test_the_coil_s_gain_changes_nothing_that_is_judged(a_logic: BottleneckOODLogic) -> None:
    plain, louder = a_logic.assess(an_mr(99)), a_logic.assess(an_mr(99, gain=9.0))
    assert louder.score == pytest.approx(plain.score, rel=0.02)
    assert plain.segmentation is not None
    assert louder.segmentation is not None
    agree = np.mean(plain.segmentation.labels == louder.segmentation.labels)
    assert agree > 0.995


def test_a_ct_for_the_mr_model_is_red_whatever_the_rest(a_logic: BottleneckOODLogic) -> None:
    assessment = a_logic.assess(replace(an_mr(99), modality="CT"))
    assert assessment.light == "red"
    assert states(assessment)["modality"] == "hard"
