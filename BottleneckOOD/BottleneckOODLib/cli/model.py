"""``bottleneck-ood model``: which models there are, what one is, and making the demo model."""

from __future__ import annotations

import argparse
from pathlib import Path

from BottleneckOODLib.cli import model_add
from BottleneckOODLib.cli.parsing import add_command, positive_number, whole_number
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import ModelError


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "model",
        "list, show or add models, or train the demo model",
        ["bottleneck-ood model list", "bottleneck-ood model show demo"],
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    listing = add_command(actions, "list", "list the models that can be named", ["bottleneck-ood model list"])
    listing.set_defaults(run=run_list)
    show = add_command(
        actions,
        "show",
        "show what a model is and what it was made for",
        ["bottleneck-ood model show demo", "bottleneck-ood model show my-models/liver"],
    )
    show.add_argument("model", metavar="M", help="name or folder")
    show.set_defaults(run=run_show)
    model_add.add_parser(actions)
    train = add_command(
        actions,
        "train-demo",
        "train the demo model from generated bodies",
        [
            "bottleneck-ood model train-demo --output new-demo",
            "bottleneck-ood model train-demo --output new-demo --data labelled-scans --minutes 120",
        ],
        notes="A run that was stopped goes on where it stopped when the same command is given again.",
    )
    train.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the model folder goes")
    train.add_argument("--data", type=Path, metavar="DIR", help="folder with labelled scans; without it, bodies alone")
    train.add_argument(
        "--minutes",
        type=positive_number("--minutes"),
        default=60.0,
        metavar="N",
        help="how long to train (default: 60)",
    )
    train.add_argument("--seed", type=whole_number("--seed", least=0), default=1, metavar="N", help="seed (default: 1)")
    train.add_argument("--network", choices=("unet", "swin_unetr"), default="unet", help="network (default: unet)")
    train.add_argument("--fresh", action="store_true", help="start anew instead of resuming")
    train.set_defaults(run=run_train)


def run_list(_arguments: argparse.Namespace) -> int:
    """List the models."""
    from BottleneckOODLib.catalogue import list_models  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.model.model_folder import read_model_folder  # noqa: PLC0415

    for name, folder in list_models().items():
        try:
            model = read_model_folder(folder)
        except ModelError as error:
            say(f"{name:16s} {error}")
            continue
        say(f"{name:16s} {model.modality}  {model.network_type}  version {model.version}  {', '.join(model.labels)}")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Show a model's card."""
    from BottleneckOODLib.catalogue import find_model  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.model.model_folder import read_model_folder  # noqa: PLC0415

    model = read_model_folder(find_model(arguments.model))
    spacing = " x ".join(f"{s:g}" for s in model.preprocessing.spacing_mm)
    orientation = model.preprocessing.orientation
    stored = orientation == "stored"
    rows = {
        "name": model.name,
        "version": model.version,
        "licence": model.licence,
        "intended use": model.intended_use,
        "modality": model.modality,
        "network": model.network_type,
        "input": f"{'as stored' if stored else orientation}, {spacing} mm, {model.preprocessing.intensity.words()}",
        "window": f"{' x '.join(str(n) for n in model.inference.patch)} voxels, overlap {model.inference.overlap:g}",
        "network's axes": "the image's" if stored else f"{orientation[::-1]}, the first axis first",
        "labels": ", ".join(f"{name} = {value}" for name, value in model.labels.items()),
        "counted as that": ", ".join(f"{name} = {value}" for name, value in model.merged.items()) or "nothing else",
        "bottleneck": model.bottleneck_layer,
        "fingerprint": model.fingerprint,
        **{str(key).replace("_", " "): str(value) for key, value in model.card.items()},
    }
    for key, value in rows.items():
        say(f"{key + ':':22s} {value}")
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    """Train the demo model; a run that was stopped goes on where it stopped."""
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.model.demo_folder import write_demo_folder  # noqa: PLC0415
    from BottleneckOODLib.model.training import train_demo_model  # noqa: PLC0415 - imports torch

    with stopping_on_interrupt() as cancel:
        progress = ConsoleProgress("train-demo")
        train_demo_model(
            arguments.output / "training",
            data=arguments.data,
            minutes=arguments.minutes,
            seed=arguments.seed,
            network=arguments.network,
            resume=not arguments.fresh,
            progress=progress,
            cancel=cancel,
        )
        progress.done()
    write_demo_folder(arguments.output / "training", arguments.output, "1")
    print(f"The model lies in {arguments.output}.")
    return 0
