"""The ways to a light that the fail-safe runs take: small models, references and cases that are green."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

N_CASES = 24


@dataclass(frozen=True)
class Scenario:
    """One way to a light.

    Attributes:
        source: The image.
        options: Further options of ``assess``.
        around: What is set while it runs.
        usual: Whether the light is green without a fault.
        functions: An expression; only functions whose name matches it are planted faults in.
    """

    source: Path
    options: tuple[str, ...]
    around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    usual: bool = True
    functions: str = ""


def a_file(folder: Path) -> Scenario:
    """A NIfTI file, a network of MONAI's, every feature space, regions, outcomes, and the look ahead."""
    return _scenario(folder, "CT", lambda volume: _as_file(volume, folder / "case.nii.gz"), looks_ahead=True)


def a_dicom_folder(folder: Path) -> Scenario:
    """A DICOM series under another name than its folder's; a reference with principal components and neighbours."""
    made = _scenario(folder, "CT", lambda volume: _as_dicom(volume, folder), neighbours=True)
    return replace(made, options=(*made.options, "--case-id", "case-7"))


def an_mr_image(folder: Path) -> Scenario:
    """A packed MetaImage whose values have no unit, on a grid as MONAI's bundles have it."""
    return _scenario(folder, "MR", lambda volume: _as_file(volume, folder / "case.mha"), resampling="first_voxel")


def an_unusual_file(folder: Path) -> Scenario:
    """An NRRD file that does not say what it is, of a case that is not green: much of it is too dense."""
    return _scenario(folder, "CT", lambda volume: _as_file(volume, folder / "case.nrrd"), usual=False)


def by_nnunet(folder: Path) -> Scenario:
    """A model of two folds that nnU-Net's trainer made, mirrored, its image turned to RAS and its axes permuted."""
    return _scenario(
        folder, "CT", lambda volume: _as_file(volume, folder / "case.nii.gz"),
        resampling="nnunet", looks_ahead=True,
    )  # fmt: skip


def unusual_by_nnunet(folder: Path) -> Scenario:
    """The same model, and a case that is not green."""
    made = _scenario(
        folder, "CT", lambda volume: _as_file(volume, folder / "case.nrrd"),
        resampling="nnunet", looks_ahead=True, usual=False,
    )  # fmt: skip
    # All the others are planted a fault in on the way of the other case that is not green.
    return replace(made, functions="^model[.]nnunet")


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {"file": a_file, "dicom": a_dicom_folder, "mr": an_mr_image,
                                                      "unusual": an_unusual_file}  # fmt: skip
if importlib.util.find_spec("nnunetv2") is not None:
    SCENARIOS |= {"nnunet": by_nnunet, "unusual-nnunet": unusual_by_nnunet}


def _scenario(
    folder: Path,
    modality: str,
    written: Callable[[Any], Path],
    *,
    looks_ahead: bool = False,
    neighbours: bool = False,
    usual: bool = True,
    resampling: str = "centred",
) -> Scenario:
    import small_model as helpers

    from BottleneckOODLib.logic import BottleneckOODLogic
    from BottleneckOODLib.reference.reference_folder import Reference

    model, built = _model_and_reference(folder.parent / f"{modality}-{resampling}", modality, resampling)
    if neighbours:
        reference = Reference.load(built)
        reference = replace(reference, spaces={**reference.spaces, "bottleneck": _nearest(reference)})
        built = folder / "reference"
        reference.save(built)
    folder.mkdir(exist_ok=True)
    options = ("--model", str(model), "--reference", str(built), "--device", "cpu")
    options += ("--modality", modality) if usual else ()
    judge = BottleneckOODLogic(model, built, device="cpu")
    for number in range(1000, 1100):
        case = helpers.a_round_body(number, modality)
        if not usual:
            case = replace(case, voxels=np.where(case.voxels > -50, case.voxels * 3 + 60, case.voxels))
        if (judge.assess(case).light == "green") == usual:
            return Scenario(written(case), options, _looking_ahead if looks_ahead else contextlib.nullcontext, usual)
    message = "no case is as it is to be"
    raise RuntimeError(message)


def _model_and_reference(folder: Path, modality: str, resampling: str) -> tuple[Path, Path]:
    """A model and its reference, made once for the ways that have them in common."""
    import small_model as helpers

    from BottleneckOODLib.logic import BottleneckOODLogic
    from BottleneckOODLib.reference import building

    model, reference = folder / "model", folder / "reference"
    if reference.is_dir():
        return model, reference
    if resampling == "nnunet":
        _nnunet_model(folder, model)
    else:
        helpers.small_model(model, modality, resampling)
    cases = helpers.small_cases(N_CASES, modality)
    dice = {case.case_id: 0.9 if number % 2 else 0.4 for number, case in enumerate(cases)}
    fit_map = building.fit_map
    # The layout's compiler takes longer than all the rest, and no light comes from where the cases lie on the map.
    building.fit_map = lambda features: np.array(features[:, :2])  # type: ignore[assignment]
    try:
        built = BottleneckOODLogic(model, device="cpu").build_reference(
            "small", cases, n_cases=N_CASES, known_dice=dice
        )
    finally:
        building.fit_map = fit_map
    built.save(reference)
    return model, reference


def _nnunet_model(folder: Path, model: Path) -> None:
    from nnunet_models import make_dataset, make_plans, train

    from BottleneckOODLib.model.nnunet_import import NnunetChoice, add_nnunet

    plans = make_plans(transpose_forward=[0, 2, 1], transpose_backward=[0, 2, 1])
    plans["configurations"]["3d_fullres"] |= {"patch_size": [16, 24, 16], "spacing": [12.0, 12.0, 12.0]}
    trained = train(folder, plans, make_dataset(("liver",)), folds=(0, 1), steps=1)
    add_nnunet("small-nnunet", trained, NnunetChoice(label="liver", orientation="RAS"), model)


def _nearest(reference: Any) -> Any:
    from BottleneckOODLib.ood.knn import KNearestNeighbours
    from BottleneckOODLib.ood.pca import PrincipalComponents
    from BottleneckOODLib.reference.feature_space import FeatureSpace

    features = reference.spaces["bottleneck"].features
    return FeatureSpace.fitted("bottleneck", features, KNearestNeighbours(0.1), reducer=PrincipalComponents(4))


def _as_file(volume: Any, path: Path) -> Path:
    from BottleneckOODLib.imaging.volume import to_sitk

    sitk.WriteImage(to_sitk(volume.voxels, volume.geometry), path, useCompression=path.suffix == ".mha")
    return path


def _as_dicom(volume: Any, folder: Path) -> Path:
    from dicom_slices import write_slices

    spacing = volume.geometry.spacing_mm
    places = [np.array([0.0, 0.0, spacing[2] * k]) for k in range(len(volume.voxels))]
    stored = np.round(volume.voxels).astype(np.int16)
    write_slices(
        folder / "series", uid="1.2.3", stored=stored, positions=places,
        PixelSpacing=[spacing[1], spacing[0]], SliceThickness=spacing[2],
        RescaleSlope=1, RescaleIntercept=0, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )  # fmt: skip
    return folder / "series"


@contextlib.contextmanager
def _looking_ahead() -> Iterator[None]:
    from BottleneckOODLib import case_measuring

    before = case_measuring._WINDOWS_WORTH_LOOKING_AHEAD
    case_measuring._WINDOWS_WORTH_LOOKING_AHEAD = 0
    try:
        yield
    finally:
        case_measuring._WINDOWS_WORTH_LOOKING_AHEAD = before


@contextlib.contextmanager
def stand_in_for_the_picture() -> Iterator[None]:
    """Drawing takes ten times as long as the rest, and comes after the light."""
    from faulting import STATE

    from BottleneckOODLib.assessment import figures

    drawn = figures.write_overview

    def quick(assessment: Any, path: Path) -> None:
        if STATE.fault is not None and STATE.fault.key.startswith("assessment.figures:"):
            drawn(assessment, path)

    figures.write_overview = quick
    try:
        yield
    finally:
        figures.write_overview = drawn
