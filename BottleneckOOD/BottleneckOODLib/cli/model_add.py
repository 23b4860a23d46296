"""``bottleneck-ood model add``: a model of one's own, kept as a folder that is nothing but data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.cli import adding_options as options
from BottleneckOODLib.cli import model_add_nnunet
from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError

if TYPE_CHECKING:
    from BottleneckOODLib.model.adding import NewModel
    from BottleneckOODLib.model.bundle import Bundle

_NOTES = (
    "--orientation, --spacing and --patch are in the order of the network's own axes, as in MONAI's Orientationd,\n"
    "Spacingd and roi_size. Steps of --intensity are taken in the order in which they are given. Nothing in a\n"
    "checkpoint or a bundle is run; what would have to be run is refused by name."
)


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = add_command(
        actions,
        "add",
        "add a model of your own",
        [
            "bottleneck-ood model add my-liver --bundle spleen_ct_segmentation --label spleen",
            "bottleneck-ood model add my-liver --nnunet Dataset297_TotalSegmentator.zip --label liver",
            "bottleneck-ood model add my-liver --network swin_unetr --weights best.pt --modality CT --orientation RAS "
            "--spacing 1.5,1.5,2 --intensity range:-175,250:0,1 --patch 96,96,96 --label liver=1",
            "bottleneck-ood model add my-mr --network seg_resnet --weights best.pt --argument init_filters=16 "
            "--argument in_channels=1 --argument out_channels=3 --modality MR --orientation RAS --spacing 2 "
            "--intensity z-score:nonzero --patch 96 --label liver=1 --label tumour=2 --merge tumour",
        ],
        notes=_NOTES,
    )
    parser.add_argument("name", metavar="NAME", help="short name; the model is then called so")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--network", metavar="TYPE", help="a network of MONAI: swin_unetr, unet, dyn_unet, ...")
    kind.add_argument("--bundle", type=Path, metavar="FOLDER", help="a MONAI bundle")
    model_add_nnunet.add_options(parser, kind)
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors, or a checkpoint of PyTorch")
    parser.add_argument("--ema", action="store_true", help="take the moving average of the weights in the checkpoint")
    parser.add_argument(
        "--arguments", type=options.arguments, metavar="JSON", help="the network's arguments, or their file"
    )
    parser.add_argument(
        "--argument", type=options.argument, action="append", metavar="K=V", help="one argument; repeatable"
    )
    parser.add_argument("--modality", type=str.upper, choices=("CT", "MR"), help="what the model was trained on")
    parser.add_argument(
        "--orientation", type=options.axes, metavar="AXES", help="such as RAS; with --nnunet, of the image's i, j, k"
    )
    parser.add_argument(
        "--spacing", type=options.positive_numbers("--spacing"), metavar="A,B,C", help="voxel spacing in mm"
    )
    parser.add_argument(
        "--intensity",
        type=options.intensity_step,
        action="append",
        metavar="STEP",
        help=f"one of {', '.join(options.INTENSITY_FORMS)}; repeatable",
    )
    parser.add_argument(
        "--resampling",
        choices=("first_voxel", "centred"),
        default="first_voxel",
        help="how the grids lie: as MONAI's Spacingd, or by their centres (default: first_voxel)",
    )
    parser.add_argument("--patch", type=options.window, metavar="A,B,C", help="voxels of a window")
    parser.add_argument(
        "--overlap", type=options.share, metavar="SHARE", help="overlap of windows (default: the bundle's, or 0.25)"
    )
    parser.add_argument(
        "--blend",
        choices=("gaussian", "constant"),
        help="weights where windows overlap (default: the bundle's, or gaussian)",
    )
    parser.add_argument("--largest-part-only", action="store_true", help="keep the mask's largest part alone")
    parser.add_argument(
        "--label",
        type=options.label,
        action="append",
        metavar="NAME[=CLASS]",
        help="the organ; with a network its class too, and further labels after it",
    )
    parser.add_argument("--merge", action="append", metavar="NAME", help="label that counts as the organ")
    parser.add_argument(
        "--ignore", action="append", metavar="TRANSFORM", help="leave a bundle's transform out"
    )
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights")
    parser.add_argument("--intended-use", metavar="TEXT", help="what the model was made for")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the folder goes (default: your models)")
    parser.set_defaults(run=run_add)


def run_add(arguments: argparse.Namespace) -> int:
    """Add a model."""
    if arguments.nnunet:
        return model_add_nnunet.run_nnunet(arguments)
    from BottleneckOODLib.model.adding import add_model, folder_of_new_model  # noqa: PLC0415 - imports torch

    for repeatable in ("argument", "label", "merge", "ignore"):
        setattr(arguments, repeatable, getattr(arguments, repeatable) or [])
    arguments.arguments = {**(arguments.arguments or {}), **dict(arguments.argument)}
    output = arguments.output or folder_of_new_model(arguments.name)
    model, weights = _of_bundle(arguments) if arguments.bundle else _of_network(arguments)
    added = add_model(model, weights, output, ema=arguments.ema)
    organ = ", ".join(added.labels)
    say(f"The model {added.name} lies in {added.folder}; its organ is {organ}.")
    said = added.folder if arguments.output else added.name
    say(f"Next: bottleneck-ood reference build --model {said} --cases FOLDER --output R")
    return 0


def _of_network(arguments: argparse.Namespace) -> tuple[NewModel, Path]:
    from BottleneckOODLib.model.adding import NewModel  # noqa: PLC0415 - imports torch
    from BottleneckOODLib.model.checkpoints import read_checkpoint  # noqa: PLC0415
    from BottleneckOODLib.model.label_choice import choose_labels  # noqa: PLC0415
    from BottleneckOODLib.model.swin_arguments import swin_arguments  # noqa: PLC0415

    needed = ("weights", "modality", "orientation", "spacing", "intensity", "patch", "label")
    missing = [f"--{name}" for name in needed if not getattr(arguments, name)]
    if missing:
        message = f"A network needs {', '.join(missing)} too; give what it was trained with."
        raise InputError(message)
    labels = {name: value for name, value in arguments.label if value is not None}
    unnumbered = [name for name, value in arguments.label if value is None]
    if unnumbered:
        message = f"--label is {unnumbered[0]}, but a network's file does not say which class that is; give NAME=CLASS."
        raise InputError(message)
    network_arguments = dict(arguments.arguments)
    if arguments.network == "swin_unetr":
        told = swin_arguments(read_checkpoint(arguments.weights, ema=arguments.ema))
        network_arguments = {**told, **network_arguments}
    choice = choose_labels(labels, next(iter(labels)), arguments.merge)
    model = NewModel(
        name=arguments.name,
        modality=arguments.modality,
        network_type=arguments.network,
        network_arguments=network_arguments,
        orientation=arguments.orientation,
        spacing_mm=arguments.spacing,
        intensity={"steps": arguments.intensity},
        patch=arguments.patch,
        labels=choice.labels,
        merged=choice.merged,
        other_labels=choice.others,
        resampling=arguments.resampling,
        overlap=0.25 if arguments.overlap is None else arguments.overlap,
        blend=arguments.blend or "gaussian",
        largest_part_only=arguments.largest_part_only,
        **_told(arguments),
    )
    return model, arguments.weights


def _of_bundle(arguments: argparse.Namespace) -> tuple[NewModel, Path]:
    from BottleneckOODLib.model.adding import NewModel  # noqa: PLC0415 - imports torch
    from BottleneckOODLib.model.bundle import read_bundle  # noqa: PLC0415
    from BottleneckOODLib.model.label_choice import choose_labels  # noqa: PLC0415

    bundle = read_bundle(arguments.bundle, weights=arguments.weights, ignore=arguments.ignore)
    labels = dict(bundle.labels) or {name: value for name, value in arguments.label if value is not None}
    organ = arguments.label[0][0] if arguments.label else None
    choice = choose_labels(labels, organ, arguments.merge)
    intensity: dict[str, Any] = {
        "steps": arguments.intensity or bundle.image.steps,
        "before_resampling": 0 if arguments.intensity else bundle.image.before_resampling,
    }
    written: dict[str, Any] = {"licence": bundle.licence, "intended_use": bundle.intended_use}
    model = NewModel(
        name=arguments.name,
        modality=_modality(bundle, arguments.modality),
        network_type=bundle.network_type,
        network_arguments={**bundle.network_arguments, **arguments.arguments},
        orientation=_stated(arguments.orientation or bundle.image.orientation, "Orientationd", "--orientation"),
        spacing_mm=_stated(arguments.spacing or bundle.image.spacing_mm, "Spacingd", "--spacing"),
        intensity=intensity if intensity["steps"] else _stated(None, "scaling of the intensities", "--intensity"),
        patch=arguments.patch or bundle.patch,
        labels=choice.labels,
        merged=choice.merged,
        other_labels=choice.others,
        overlap=bundle.overlap if arguments.overlap is None else arguments.overlap,
        blend=arguments.blend or bundle.blend,
        padding=bundle.padding,
        largest_part_only=arguments.largest_part_only or bundle.output.largest_part_only,
        interpolated=bundle.output.interpolated,
        version=bundle.version,
        card=bundle.card,
        **{**{key: text for key, text in written.items() if text}, **_told(arguments)},
    )
    return model, bundle.weights


def _modality(bundle: Bundle, wanted: str | None) -> str:
    if wanted and bundle.modality and wanted != bundle.modality:
        message = f"The bundle {bundle.folder} is for {bundle.modality} images, not for {wanted}; leave out --modality."
        raise InputError(message)
    return str(_stated(bundle.modality or wanted, "modality", "--modality"))


def _stated(value: Any, what: str, option: str) -> Any:
    if not value:
        message = f"The bundle names no {what}; give what the model was trained with by {option}."
        raise InputError(message)
    return value


def _told(arguments: argparse.Namespace) -> dict[str, Any]:
    told: dict[str, Any] = {"licence": arguments.licence, "intended_use": arguments.intended_use}
    return {key: text for key, text in told.items() if text}
