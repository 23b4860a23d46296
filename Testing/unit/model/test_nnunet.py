"""What nnU-Net's own predictor gives, to the voxel: the same masks, and the features of a hook on its network."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from last_digits import assert_same_mask
from nnunet_cases import CPU, KINDS, MIRRORED, Upstream, a_volume
from nnunet_models import make_dataset, make_plans, train

from BottleneckOODLib.case_measuring import measured_case
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Geometry, to_sitk
from BottleneckOODLib.model.adapter import loaded
from BottleneckOODLib.model.local_view import CELL_VOXELS
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.nnunet_import import NnunetChoice, add_nnunet
from BottleneckOODLib.model.organ import organ_mask
from BottleneckOODLib.ood.output_scores import disagreement

TURNED = np.linalg.qr(np.array([[-3, 1, 0.5], [1, 3, -1], [0.5, 1, 2]]))[0]
OBLIQUE = tuple(float(v) for v in np.round(TURNED, 12).ravel())
LIVER = NnunetChoice(label="liver")


@pytest.mark.parametrize("kind", KINDS)
def test_mask_and_features_are_those_of_nnunets_own_predictor(
    trained: Callable[[str], tuple[Path, ModelFolder]], kind: str
) -> None:
    folder, model = trained(kind)
    volume = a_volume(modality=model.modality)
    before = volume.voxels.copy()
    upstream = Upstream(folder, KINDS[kind][2])
    expected = upstream.predict(volume.voxels, volume.geometry.spacing_mm)
    segmenter = loaded(model, CPU)
    tensor, grid = segmenter.prepare(volume)
    output = segmenter.run(tensor)

    every_label = {name: value for name, value in KINDS[kind][1]["labels"].items() if value}
    assert_same_mask(grid.restore(output.logits, every_label).labels, expected)
    assert len(np.unique(expected)) > 2, "a mask of one label would tell little"
    mask, _ = organ_mask(output.logits, grid, model)
    assert_same_mask(mask.labels > 0, expected == model.labels["liver"])

    windows = len(output.bottleneck.tokens)
    assert windows * len(KINDS[kind][2]) == segmenter.window_count(tensor.shape)
    unmirrored = torch.cat(upstream.features[:: 8 if kind in MIRRORED else 1])[:windows].numpy()
    np.testing.assert_allclose(output.bottleneck.tokens, unmirrored, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, before)


@pytest.mark.parametrize("direction", [OBLIQUE, (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)])
def test_a_file_of_any_geometry_is_segmented_as_nnunet_reads_it(
    trained: Callable[[str], tuple[Path, ModelFolder]], tmp_path: Path, direction: tuple[float, ...]
) -> None:
    folder, model = trained("plain")
    written = a_volume(direction=direction)
    path = tmp_path / "case.nii.gz"
    sitk.WriteImage(to_sitk(written.voxels, written.geometry), str(path))
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    array, properties = SimpleITKIO().read_images([str(path)])
    expected = Upstream(folder).predict(array[0], properties["spacing"][::-1])
    volume = read_volume(path, modality="CT")
    segmenter = loaded(model, CPU)
    tensor, grid = segmenter.prepare(volume)
    mask, _ = organ_mask(segmenter.run(tensor).logits, grid, model)
    assert mask.geometry == volume.geometry
    assert_same_mask(mask.labels == 5, expected == 5)


def test_where_the_model_wants_ras_the_patient_is_turned_and_the_mask_turned_back(
    trained: Callable[[str], tuple[Path, ModelFolder]], tmp_path: Path
) -> None:
    folder, _ = trained("plain")
    model = add_nnunet("turned", folder, dataclasses.replace(LIVER, orientation="RAS"), tmp_path / "turned")
    volume = a_volume()
    # Upright in LPS: right and anterior are against its first two axes.
    expected = Upstream(folder).predict(
        np.ascontiguousarray(volume.voxels[:, ::-1, ::-1]), volume.geometry.spacing_mm
    )[:, ::-1, ::-1]
    segmenter = loaded(model, CPU)
    tensor, grid = segmenter.prepare(volume)
    mask, _ = organ_mask(segmenter.run(tensor).logits, grid, model)
    assert_same_mask(mask.labels == 5, expected == 5)
    assert mask.geometry == volume.geometry


@pytest.mark.parametrize("kind", ["plain", "transposed"])
def test_the_grid_knows_where_its_voxels_lie(
    trained: Callable[[str], tuple[Path, ModelFolder]], kind: str
) -> None:
    """A bright ball is as far from the patient's origin on the network's grid as in the image."""
    _, model = trained(kind)
    volume = a_volume(direction=OBLIQUE)
    z, y, x = np.ogrid[:22, :28, :34]
    ball = (z - 12) ** 2 + (y - 17) ** 2 + (x - 9) ** 2 < 16
    voxels = np.where(ball, 250.0, -900.0).astype(np.float32)
    voxels[:2] = 0
    tensor, grid = loaded(model, CPU).prepare(dataclasses.replace(volume, voxels=voxels))
    assert grid.size_ijk == tensor.shape[::-1]

    def centre(marked: np.ndarray, geometry: Geometry) -> np.ndarray:
        ijk = np.argwhere(marked).mean(axis=0)[::-1]
        return np.array(geometry.origin_lps_mm) + geometry.axes @ (ijk * np.array(geometry.spacing_mm))

    found = centre(tensor > tensor.min() * 0.3 + tensor.max() * 0.7, grid.in_cells(1))
    assert np.linalg.norm(found - centre(ball, volume.geometry)) < 2.0
    whole = np.prod(volume.geometry.spacing_mm) * 20 * 28 * 34 / 1000
    assert grid.voxel_volume_ml * tensor.size == pytest.approx(whole)
    edge = grid.in_cells(CELL_VOXELS)
    assert edge.spacing_mm == pytest.approx([CELL_VOXELS * s for s in grid.in_cells(1).spacing_mm])


def test_labels_are_merged_into_the_organ(trained: Callable[[str], tuple[Path, ModelFolder]], tmp_path: Path) -> None:
    folder, model = trained("residual")
    merged = add_nnunet("both", folder, NnunetChoice(label="Liver", merge=["tumour"]), tmp_path / "both")
    segmenter = loaded(merged, CPU)
    tensor, grid = segmenter.prepare(a_volume())
    output = segmenter.run(tensor)
    alone, _ = organ_mask(output.logits, grid, model)
    both, _ = organ_mask(output.logits, grid, merged)
    expected = grid.restore(output.logits, {"liver": 1, "tumour": 2}).labels
    np.testing.assert_array_equal(alone.labels > 0, expected == 1)
    np.testing.assert_array_equal(both.labels, (expected > 0).astype(np.uint8))
    assert both.names == {1: "liver"}


def test_mirrored_windows_and_folds_say_how_far_they_disagree(
    trained: Callable[[str], tuple[Path, ModelFolder]],
) -> None:
    folder, model = trained("two folds")
    segmenter = loaded(model, CPU)
    tensor, _ = segmenter.prepare(a_volume())
    output = segmenter.run(tensor)
    alone = [Upstream(folder, (fold,)).predictor for fold in (0, 1)]
    masks, per_fold = [], []
    for predictor in alone:
        organs: list[np.ndarray] = []
        plain = predictor._internal_maybe_mirror_and_predict

        def each(x: torch.Tensor, predictor: Any = predictor, plain: Any = plain, kept: Any = organs) -> torch.Tensor:
            members = []
            for axes in ([], [2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]):
                with torch.inference_mode():
                    logits = torch.flip(predictor.network(torch.flip(x, axes)), axes)
                members.append((logits[0].argmax(0) == 5).numpy())
            kept.append(np.stack(members))
            return plain(x)

        predictor._internal_maybe_mirror_and_predict = each
        with contextlib.redirect_stdout(io.StringIO()):
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(tensor)[None])
        masks.append((logits.argmax(0) == 5).numpy())
        per_fold.append(disagreement(list(np.concatenate(organs, axis=1))))
    assert output.disagreement["folds"] == pytest.approx(disagreement(masks))
    assert output.disagreement["mirroring"] == pytest.approx(np.mean(per_fold), abs=1e-9)
    assert 0 < output.disagreement["mirroring"] < 1
    assert measured_case(a_volume(), segmenter, "mean").disagreement == output.disagreement


def test_without_mirroring_nothing_disagrees(tmp_path: Path) -> None:
    folder = train(tmp_path, make_plans(), make_dataset(), trainer="nnUNetTrainerNoMirroring", steps=1)
    model = add_nnunet("ts", folder, LIVER, tmp_path / "ours")
    assert model.framework_settings["mirroring"] == []
    segmenter = loaded(model, CPU)
    tensor, grid = segmenter.prepare(a_volume())
    output = segmenter.run(tensor)
    assert output.disagreement == {}
    upstream = Upstream(folder)
    turned = np.ascontiguousarray(a_volume().voxels[:, ::-1, ::-1])
    expected = upstream.predict(turned, a_volume().geometry.spacing_mm)[:, ::-1, ::-1]
    assert_same_mask(organ_mask(output.logits, grid, model)[0].labels, 5 * (expected == 5))
    np.testing.assert_allclose(output.bottleneck.tokens, torch.cat(upstream.features).numpy(), rtol=1e-5, atol=1e-5)
