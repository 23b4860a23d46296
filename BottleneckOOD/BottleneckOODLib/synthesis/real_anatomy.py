"""Anatomies from labelled real scans: their organs, wall and Hounsfield units, completed above the cut."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.fields import Array
from BottleneckOODLib.synthesis.tissues import Tissue

# TotalSegmentator v2 label numbers of CT, and of its MR model.
_CT_TISSUES: Mapping[int, Tissue] = {
    1: Tissue.SPLEEN, 2: Tissue.KIDNEY, 3: Tissue.KIDNEY, 4: Tissue.GALLBLADDER, 5: Tissue.LIVER, 6: Tissue.GUT_WALL,
    7: Tissue.PANCREAS, 8: Tissue.SOFT_TISSUE, 9: Tissue.SOFT_TISSUE, 10: Tissue.LUNG, 11: Tissue.LUNG, 12: Tissue.LUNG,
    13: Tissue.LUNG, 14: Tissue.LUNG, 15: Tissue.SOFT_TISSUE, 18: Tissue.GUT_WALL, 19: Tissue.GUT_WALL,
    20: Tissue.GUT_WALL, 21: Tissue.URINE, 22: Tissue.SOFT_TISSUE, 51: Tissue.MYOCARDIUM, 52: Tissue.AORTA,
    63: Tissue.VEIN, 64: Tissue.VEIN, 65: Tissue.AORTA, 66: Tissue.AORTA, 67: Tissue.VEIN, 68: Tissue.VEIN,
    79: Tissue.SPINAL_CANAL, 117: Tissue.CARTILAGE,
    **dict.fromkeys((*range(25, 51), *range(69, 79), *range(92, 117)), Tissue.MARROW),
    **dict.fromkeys(range(80, 90), Tissue.MUSCLE),
}  # fmt: skip
_MR_TISSUES: Mapping[int, Tissue] = {
    1: Tissue.SPLEEN, 2: Tissue.KIDNEY, 3: Tissue.KIDNEY, 4: Tissue.GALLBLADDER, 5: Tissue.LIVER, 6: Tissue.GUT_WALL,
    7: Tissue.PANCREAS, 8: Tissue.SOFT_TISSUE, 9: Tissue.SOFT_TISSUE, 10: Tissue.LUNG, 11: Tissue.LUNG,
    12: Tissue.SOFT_TISSUE, 13: Tissue.GUT_WALL, 14: Tissue.GUT_WALL, 15: Tissue.GUT_WALL, 16: Tissue.URINE,
    18: Tissue.MARROW, 19: Tissue.MARROW, 20: Tissue.CARTILAGE, 21: Tissue.SPINAL_CANAL, 22: Tissue.MYOCARDIUM,
    23: Tissue.AORTA, 24: Tissue.VEIN, 25: Tissue.VEIN, **dict.fromkeys(range(46, 50), Tissue.MUSCLE),
}  # fmt: skip
_SOFT_HU = -30.0
_BONE_HU = 160.0
_GAS_HU = -350.0
_BODY_HU = -300.0


def read_real_anatomies(folder: Path) -> list[Anatomy]:
    """Read the labelled scans of a data folder.

    The upper part of the CT (``ct_upper``) is left out: it is the same patient, with an affine that does not fit.

    Args:
        folder: Holds ``abdomen_ct/ct.nii.gz`` with ``ct_labels.nii.gz`` and ``abdomen_mr/mr.nii.gz`` with
            ``mr_labels.nii.gz``; what is missing is skipped.

    Returns:
        One anatomy a scan, completed to the head, with x to the left, y to the back, z to the head.

    Raises:
        InputError: None of them is there.
    """
    anatomies: list[Anatomy] = []
    scan, labels = folder / "abdomen_ct" / "ct.nii.gz", folder / "abdomen_ct" / "ct_labels.nii.gz"
    if scan.is_file() and labels.is_file():
        anatomies.append(_from_ct(_read(scan), _read(labels)))
    scan, labels = folder / "abdomen_mr" / "mr.nii.gz", folder / "abdomen_mr" / "mr_labels.nii.gz"
    if scan.is_file() and labels.is_file():
        anatomies.append(_from_mr(_read(scan), _read(labels)))
    if not anatomies:
        message = f"No labelled scan was found in {folder.name}; leave the data folder out to use drawn bodies only."
        raise InputError(message)
    return anatomies


def _read(path: Path) -> sitk.Image:
    return sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")


def _translate(labels: NDArray[np.int64], table: Mapping[int, Tissue]) -> NDArray[np.uint8]:
    lookup = np.zeros(256, np.uint8)
    for number, tissue in table.items():
        lookup[number] = tissue
    return np.asarray(lookup[labels], dtype=np.uint8)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]), dtype=bool)


def _body(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    opened = _largest(ndimage.binary_opening(mask, iterations=1))
    return np.stack([ndimage.binary_fill_holes(s) for s in opened]).astype(bool)


def _from_ct(scan: sitk.Image, labels: sitk.Image) -> Anatomy:
    image = sitk.GetArrayFromImage(scan).astype(np.float32)
    organs = _translate(sitk.GetArrayFromImage(labels).astype(np.int64), _CT_TISSUES)
    spacing = scan.GetSpacing()[::-1]
    body = _body((image > _BODY_HU) | (organs > 0))
    smooth = ndimage.gaussian_filter(image, 0.5)
    tissues = np.zeros(image.shape, np.uint8)
    tissues[body] = Tissue.FAT
    tissues[body & (smooth > _SOFT_HU)] = Tissue.MUSCLE
    tissues[body & (smooth > _BONE_HU)] = Tissue.MARROW
    gas = body & (smooth < _GAS_HU)
    tissues[gas] = Tissue.GUT_GAS
    inside = _cavity(organs, body)
    tissues[inside & (tissues == Tissue.FAT)] = Tissue.INNER_FAT
    tissues[inside & (tissues == Tissue.MUSCLE)] = Tissue.SOFT_TISSUE
    tissues[organs > 0] = organs[organs > 0]
    gut = organs == Tissue.GUT_WALL
    core = ndimage.binary_erosion(gut, iterations=1)
    tissues[core] = Tissue.GUT_FLUID
    tissues[gut & (image < -200)] = Tissue.GUT_GAS
    tissues[(tissues == Tissue.MARROW) & (image > 350)] = Tissue.CORTICAL_BONE
    tissues[(image > -900) & ~body & (ndimage.gaussian_filter(image, 1) > -850)] = Tissue.TABLE
    return _complete(tissues, spacing, image, "real CT")


def _cavity(organs: NDArray[np.uint8], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Roughly the belly's inside: the organs and what lies between them."""
    belly = np.isin(
        organs, (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY, Tissue.GUT_WALL, Tissue.PANCREAS, Tissue.AORTA)
    )
    return (
        np.stack([ndimage.binary_closing(np.pad(s, 12), iterations=10)[12:-12, 12:-12] for s in belly]).astype(bool)
        & body
    )


def _from_mr(scan: sitk.Image, labels: sitk.Image) -> Anatomy:
    image = sitk.GetArrayFromImage(scan).astype(np.float32)
    organs = _translate(sitk.GetArrayFromImage(labels).astype(np.int64), _MR_TISSUES)
    body = _body((ndimage.gaussian_filter(image, 0.7) > 0.12 * np.percentile(image, 95)) | (organs > 0))
    tissues = np.zeros(image.shape, np.uint8)
    tissues[body] = Tissue.MUSCLE
    inside = _cavity(organs, body)
    # The scan may be fat-suppressed, so brightness tells no fat: a rim under the skin, and what lies between organs.
    depth = np.stack([ndimage.distance_transform_edt(s, sampling=scan.GetSpacing()[1::-1]) for s in body])
    tissues[body & (depth < 14)] = Tissue.FAT
    tissues[inside & (depth > 25)] = Tissue.INNER_FAT
    tissues[organs > 0] = organs[organs > 0]
    core = ndimage.binary_erosion(organs == Tissue.GUT_WALL, iterations=1)
    tissues[core] = Tissue.GUT_FLUID
    return _complete(tissues, scan.GetSpacing()[::-1], None, "real MR")


def _complete(
    tissues: NDArray[np.uint8], spacing: tuple[float, float, float], image: Array | None, name: str
) -> Anatomy:
    """Add what lies above the cut: the wall goes on, the liver and its left neighbours close as domes under lungs."""
    top = tissues[-1]
    extra = max(1, round(150 / spacing[0]))
    belly_tissues = (Tissue.LIVER, Tissue.SPLEEN, Tissue.GUT_WALL, Tissue.GUT_FLUID, Tissue.GUT_GAS, Tissue.INNER_FAT)
    liver = top == Tissue.LIVER
    lungs = np.isin(top, (Tissue.LUNG, Tissue.GUT_GAS))
    left = np.isin(top, belly_tissues) & ~liver
    room = liver | left | lungs | np.isin(top, (Tissue.SOFT_TISSUE, Tissue.MYOCARDIUM, Tissue.INNER_FAT))
    room = ndimage.binary_closing(np.pad(room, 12), iterations=8)[12:-12, 12:-12].astype(bool)
    wall = np.where(room, Tissue.INNER_FAT, top)
    inside = ndimage.distance_transform_edt(liver, sampling=spacing[1:])
    reach = max(float(inside.max()), 1.0)
    left_inside = ndimage.distance_transform_edt(left & ~lungs, sampling=spacing[1:])
    left_reach = max(float(left_inside.max()), 1.0)
    ys, xs = np.nonzero(room)
    middle_x, middle_y = (xs.mean(), ys.mean()) if xs.size else (tissues.shape[2] / 2, tissues.shape[1] / 2)
    grid_y, grid_x = np.ogrid[: top.shape[0], : top.shape[1]]
    across, along = (grid_x - middle_x) * spacing[2], (grid_y - middle_y) * spacing[1]
    slices = []
    for index in range(1, extra + 1):
        height = index * spacing[0]
        layer = wall.copy()
        between = np.abs(across - 8) < 26  # mediastinum
        layer[room] = Tissue.LUNG
        layer[room & between] = Tissue.INNER_FAT
        bulge = np.sqrt(((across - 24) / 58) ** 2 + ((along + 32) / 44) ** 2 + ((height - 48) / 46) ** 2)
        layer[room & (bulge < 1)] = Tissue.MYOCARDIUM
        layer[room & (bulge < 0.75)] = Tissue.HEART_BLOOD
        # A spherical cap: the slice shrinks slowly at first, then fast.
        dome = 1.1 * reach
        limit = reach * (1 - np.sqrt(max(1 - (height / dome) ** 2, 0)))
        if height < dome:
            layer[inside > limit] = Tissue.LIVER
        cap = 0.8 * left_reach
        if height < cap:
            limit = left_reach * (1 - np.sqrt(1 - (height / cap) ** 2))
            part = left_inside > limit
            layer[part] = np.where(np.isin(top, belly_tissues), top, Tissue.INNER_FAT)[part]
        keep = np.isin(top, (Tissue.AORTA, Tissue.SPINAL_CANAL, Tissue.MARROW, Tissue.CORTICAL_BONE))
        layer[keep] = top[keep]
        slices.append(layer.astype(np.uint8))
    complete = np.concatenate([tissues, np.stack(slices)])
    spacing_mm = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    if image is None:
        return Anatomy(complete, spacing_mm, name=name)
    known = np.zeros(complete.shape, bool)
    known[: len(tissues)] = True
    filled = np.full(complete.shape, -1000, np.float32)
    filled[: len(tissues)] = image
    return Anatomy(complete, spacing_mm, filled, known, name)
