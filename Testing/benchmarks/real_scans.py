"""Light, p-value, liver volume, Dice and seconds of every real scan of the data folder, as a table in Markdown.

Usage: python Testing/benchmarks/real_scans.py DATA [--model M] [--reference R] [--output DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BottleneckOODLib import BottleneckOODLogic, UserError, Volume, read_volume
from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.ood.metrics import dice

LIVER = 5
FLOAT = np.float32
LABELS = {
    "abdomen_ct/ct.nii.gz": "abdomen_ct/ct_labels.nii.gz",
    "abdomen_ct/ct_upper.nii.gz": "abdomen_ct/ct_upper_labels.nii.gz",
    "abdomen_mr/mr.nii.gz": "abdomen_mr/mr_labels.nii.gz",
}
SCANS = (
    "abdomen_ct/ct.nii.gz", "abdomen_ct/ct_upper.nii.gz", "abdomen_ct_full/ct.nii.gz", "ct_3slice_dicom",
    "other/heart_ct.nii.gz", "other/neck_ct.nii.gz", "abdomen_mr/mr.nii.gz", "other/brain_mr.nrrd", "brain_mr_dicom",
    "other/ct_slab_a_8bit.nrrd", "other/ct_slab_b_8bit.nrrd", "other/ct_slab_c_8bit.nrrd",
)  # fmt: skip


def noise(voxels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 400, voxels.shape).astype(FLOAT)


def eight_bit(voxels: np.ndarray) -> np.ndarray:
    return (np.clip((voxels + 160) / 400, 0, 1) * 255).round().astype(FLOAT)


def noisy(voxels: np.ndarray) -> np.ndarray:
    return (voxels + np.random.default_rng(0).normal(0, 150, voxels.shape)).astype(FLOAT)


DAMAGE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upside down": lambda v: v[::-1].copy(),
    "left and right exchanged": lambda v: v[:, :, ::-1].copy(),
    "front and back exchanged": lambda v: v[:, ::-1].copy(),
    "ten times its values": lambda v: v * FLOAT(10),
    "windowed to 8 bit": eight_bit,
    "noise of 150 HU added": noisy,
    "its lower half": lambda v: v[: v.shape[0] // 2].copy(),
    "nothing but noise": noise,
}


def damaged(volume: Volume, what: str) -> Volume:
    voxels = DAMAGE[what](volume.voxels)
    k, j, i = voxels.shape
    geometry = type(volume.geometry)(
        (i, j, k), volume.geometry.spacing_mm, volume.geometry.origin_lps_mm, volume.geometry.direction
    )
    return Volume(voxels, geometry, volume.modality, f"ct, {what}")


def dice_of(assessment: Assessment, labels: Path) -> str:
    if assessment.segmentation is None:
        return ""
    truth = sitk.GetArrayFromImage(sitk.ReadImage(labels)) == LIVER
    return f"{dice(assessment.segmentation.labels > 0, truth):.3f}"


def row(name: str, assessment: Assessment, seconds: float, overlap: str) -> str:
    parts = {part: score.p_value for part, score in assessment.parts.items()}
    least = min(parts, key=lambda part: parts[part]) if parts else ""
    failed = [check.name for check in assessment.checks if check.state == "hard"]
    why = ", ".join(failed) or (f"{least} {parts[least]:.3f}" if least else "")
    p_value = "" if assessment.p_value is None else f"{assessment.p_value:.3f}"
    return (
        f"| {name} | {assessment.light} | {p_value} | {why} | {assessment.volume_ml:.0f} | {overlap} | {seconds:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--reference")
    parser.add_argument("--output", type=Path, help="keep the assessments, pictures and all, in this folder")
    arguments = parser.parse_args()
    logic = BottleneckOODLogic(arguments.model, arguments.reference, device="cpu")
    print(f"model {logic.model.fingerprint[:8]}, reference of {len(logic.reference.cases)} cases\n")
    print("| scan | light | p | failed check, or smallest p of a part | liver, ml | Dice | seconds |")
    print("|---|---|---|---|---|---|---|")
    logic.segmenter.run(np.zeros((64, 64, 64), FLOAT))

    def report(name: str, source: Path | Volume, case_id: str) -> None:
        started = time.perf_counter()
        try:
            assessment = logic.assess(source, case_id=case_id)
        except UserError as error:
            print(f"| {name} | refused | | {error} | | | |", flush=True)
            return
        seconds = time.perf_counter() - started
        overlap = dice_of(assessment, arguments.data / LABELS[name]) if name in LABELS else ""
        print(row(name, assessment, seconds, overlap), flush=True)
        if arguments.output is not None:
            assessment.save(arguments.output, overwrite=True)

    for scan in SCANS:
        report(scan, arguments.data / scan, scan.replace("/", "-").split(".", maxsplit=1)[0])
    ct = read_volume(arguments.data / SCANS[0])
    for what in DAMAGE:
        report(f"ct, {what}", damaged(ct, what), f"ct-{what.replace(' ', '-')}")


if __name__ == "__main__":
    main()
