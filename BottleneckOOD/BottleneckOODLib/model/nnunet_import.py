"""Making a model folder of a trained nnU-Net v2 model: its weights as safetensors, its plans as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from BottleneckOODLib.atomic_folder import check_replaceable, written_whole
from BottleneckOODLib.catalogue import user_folder
from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.bottleneck import BottleneckTap
from BottleneckOODLib.model.label_choice import choose_labels
from BottleneckOODLib.model.model_folder import MODEL_FILE, ModelFolder, read_model_folder, write_model_folder
from BottleneckOODLib.model.nnunet_archive import extracted, trained_folder
from BottleneckOODLib.model.nnunet_checkpoint import NnunetCheckpoint, read_nnunet_checkpoint
from BottleneckOODLib.model.nnunet_network import managers, network_of, own_names, require_nnunet
from BottleneckOODLib.model.nnunet_plans import DATASET_FILE, PLANS_FILE, NnunetPlans, read_plans
from BottleneckOODLib.temporaries import temporary_folder
from BottleneckOODLib.tensor_file import sha256_of, telling_the_system_s_reason

CHECKPOINT = "checkpoint_final.pth"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FOLD = re.compile(r"fold_(\d{1,2}|all)")
_NAMED = 3


@dataclass(frozen=True)
class NnunetChoice:
    """What the user chose.

    Attributes:
        label: Name of the organ among the model's labels; None where there is one only.
        merge: Names of labels that count as the organ.
        folds: Names of the folds, such as ``("0", "1")``; empty takes all that are finished.
        modality: ``"CT"`` or ``"MR"``; None takes what the dataset says.
        orientation: Such as ``"RAS"``, to turn images so first; None takes what the plans say.
        licence: Licence of the weights.
        intended_use: What the model was made for.
    """

    label: str | None = None
    merge: Sequence[str] = ()
    folds: Sequence[str] = ()
    modality: str | None = None
    orientation: str | None = None
    licence: str | None = None
    intended_use: str | None = None


def add_nnunet(name: str, source: Path, choice: NnunetChoice, output: Path | None = None) -> ModelFolder:
    """Write a model folder from a trained model, whole or not at all.

    Args:
        name: Short name of the model.
        source: The trained model's folder, one above it, or a ZIP file of either. Not modified.
        choice: What the user chose.
        output: The folder to make; None takes the name below the user's models.

    Raises:
        ModelError: It is no trained model, is damaged, or is of a kind that is not supported.
        DependencyError: nnunetv2 is missing, or PyTorch is too old.
        OutputError: The folder exists, or cannot be written.
    """
    require_nnunet()
    if not _NAME.fullmatch(name):
        message = f'The name "{name}" cannot be a model\'s; use letters, digits, dots, dashes and underscores.'
        raise ModelError(message)
    folder = output or user_folder() / "models" / name
    check_replaceable(folder, overwrite=False, known=())
    if source.is_dir():
        return _of_folder(name, trained_folder(source), choice, folder, None)
    if not source.is_file():
        message = f"The model {source} was not found; give a folder or a ZIP file of a trained nnU-Net model."
        raise ModelError(message)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its goal: the temporary folder of the computer may be too small for weights.
    with temporary_folder(folder.parent) as unpacked:
        extracted(source, unpacked)
        try:
            return _of_folder(name, trained_folder(unpacked), choice, folder, sha256_of(source))
        except ModelError as error:
            # The user knows the archive and not where it was unpacked.
            raise ModelError(str(error).replace(str(unpacked), str(source))) from None


def _of_folder(
    name: str, source: Path, choice: NnunetChoice, folder: Path, archive_sha256: str | None
) -> ModelFolder:
    folds = _folds(source, choice.folds)
    first = read_nnunet_checkpoint(source / folds[0] / CHECKPOINT)
    plans = read_plans(source, first.configuration)
    labels = choose_labels(plans.labels, choice.label, choice.merge)
    modality = _modality(plans, choice, source)
    _, configuration = managers(plans)
    network = network_of(plans, configuration)
    layer = f"encoder.stages.{plans.n_stages - 1}"
    files = [f"{fold}.safetensors" for fold in folds]
    with written_whole(folder, overwrite=False, known=(MODEL_FILE, PLANS_FILE, DATASET_FILE, *files)) as temporary:
        for fold, file in zip(folds, files, strict=True):
            path = source / fold / CHECKPOINT
            checkpoint = first if fold == folds[0] else read_nnunet_checkpoint(path)
            weights = _fitting(network, checkpoint, first, path)
            if fold == folds[0]:
                _run_once(network, weights, layer, plans)
            with telling_the_system_s_reason():
                safetensors.torch.save_file(weights, temporary / file)
        for file_name, content in ((PLANS_FILE, plans.plans), (DATASET_FILE, plans.dataset)):
            (temporary / file_name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        document = _document(name, plans, first, choice, modality)
        document["labels"] = dict(labels.labels)
        document["output"] = {"merged": dict(labels.merged), "interpolated": "logits"}
        document |= {"bottleneck": {"layer": layer}, "framework": "nnunet"}
        document["framework_settings"] = {
            "configuration": plans.configuration,
            "mirroring": list(first.mirroring),
            "folds": files,
            "files": {each: sha256_of(temporary / each) for each in (PLANS_FILE, DATASET_FILE, *files)},
        }
        if archive_sha256:
            document["card"]["archive_sha256"] = archive_sha256
        write_model_folder(temporary, document, temporary / files[0])
    return read_model_folder(folder)


def _folds(source: Path, wanted: Sequence[str]) -> list[str]:
    there = sorted(path.name for path in source.iterdir() if _FOLD.fullmatch(path.name) and path.is_dir())
    if wanted:
        folds = [f"fold_{fold}" for fold in wanted]
        missing = [fold for fold in folds if fold not in there]
        if missing:
            message = f"The model in {source} has no {missing[0]}; it has {', '.join(there)}."
            raise ModelError(message)
        return folds
    numbered = [fold for fold in there if fold != "fold_all" and (source / fold / CHECKPOINT).is_file()]
    # nnU-Net leaves "all" out when it looks for folds; TotalSegmentator and others have it alone.
    folds = numbered or [fold for fold in there if (source / fold / CHECKPOINT).is_file()]
    if not folds:
        message = f"No fold in {source} has a {CHECKPOINT}; give a folder whose training was finished."
        raise ModelError(message)
    return folds


def _modality(plans: NnunetPlans, choice: NnunetChoice, source: Path) -> str:
    found = plans.modality
    if choice.modality and found and choice.modality != found:
        message = f"The model in {source} is for {found} images, not for {choice.modality}; leave out --modality."
        raise ModelError(message)
    modality = choice.modality or found
    if modality is None:
        message = f"The model in {source} does not say whether it is for CT or MR; give --modality."
        raise ModelError(message)
    return modality


def _fitting(
    network: torch.nn.Module, checkpoint: NnunetCheckpoint, first: NnunetCheckpoint, path: Path
) -> dict[str, torch.Tensor]:
    if (checkpoint.configuration, checkpoint.mirroring) != (first.configuration, first.mirroring):
        message = f"The checkpoint {path} is of another training than the first fold; give --folds of one."
        raise ModelError(message)
    expected, weights = network.state_dict(), checkpoint.weights
    odd = [name for name in expected if name not in weights or weights[name].shape != expected[name].shape]
    odd += [name for name in weights if name not in expected]
    if odd:
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        message = (
            f"The checkpoint {path} does not fit the network of plans.json ({', '.join(odd[:_NAMED])}{more}); "
            f"its trainer {checkpoint.trainer} may build a network of its own, which is not supported."
        )
        raise ModelError(message)
    if not all(value.isfinite().all() for value in weights.values()):
        message = f"The checkpoint {path} holds weights that are not numbers; take another one."
        raise ModelError(message)
    owners = own_names(network)
    two = next((name for name, owner in owners.items() if not torch.equal(weights[name], weights[owner])), None)
    if two is not None:
        message = f"The checkpoint {path} holds two different values for one weight ({two}); take another one."
        raise ModelError(message)
    kept = dict.fromkeys(owners.values())
    return {name: weights[name].detach().to(expected[name].dtype, copy=True).contiguous() for name in kept}


def _run_once(
    network: torch.nn.Module, weights: Mapping[str, torch.Tensor], layer: str, plans: NnunetPlans
) -> None:
    network.load_state_dict({name: weights[owner] for name, owner in own_names(network).items()})
    try:
        with torch.inference_mode(), BottleneckTap(network, layer) as tap:
            output = network(torch.zeros(1, 1, *plans.patch))
            tap.take()
    except (RuntimeError, ValueError, IndexError) as error:
        message = f"The network {plans.architecture} does not run on its own window; copy the trained model again."
        raise ModelError(message) from error
    if tuple(output.shape) != (1, len(plans.labels) + 1, *plans.patch):
        message = f"The network {plans.architecture} gives no class for each label; copy the trained model again."
        raise ModelError(message)


def _document(
    name: str, plans: NnunetPlans, first: NnunetCheckpoint, choice: NnunetChoice, modality: str
) -> dict[str, Any]:
    if plans.normalization == "CTNormalization":
        low, high = plans.intensity["percentile_00_5"], plans.intensity["percentile_99_5"]
        mean, deviation = plans.intensity["mean"], max(plans.intensity["std"], 1e-8)
        intensity: dict[str, Any] = {
            "clip": [low, high],
            "scale": [(low - mean) / deviation, (high - mean) / deviation],
        }
    else:
        over = "nonzero" if plans.only_nonzero else "all"
        intensity = {"steps": [{"kind": "z_score", "over": over}]}
    return {
        "name": name,
        "version": "1",
        "licence": choice.licence or "not stated",
        "intended_use": choice.intended_use or "not stated",
        "modality": modality,
        "network": {"type": plans.architecture, "arguments": {"plans": PLANS_FILE}},
        "preprocessing": {
            "orientation": choice.orientation or plans.orientation,
            "spacing_mm": list(plans.spacing_mm[::-1]),
            "intensity": intensity,
        },
        "inference": {"patch": list(plans.patch), "overlap": 0.5, "blend": "gaussian"},
        "card": {
            "trained_on": plans.dataset_name,
            "trainer": first.trainer,
            "configuration": plans.configuration,
            "training_cases": plans.dataset.get("numTraining", "not stated"),
        },
    }
