"""What ``bottleneck-ood model add`` has for a trained nnU-Net: its options, and the run."""

from __future__ import annotations

import argparse
from pathlib import Path

from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError

_OTHERS = {
    "weights": "--weights",
    "ema": "--ema",
    "arguments": "--arguments",
    "argument": "--argument",
    "spacing": "--spacing",
    "intensity": "--intensity",
    "patch": "--patch",
    "overlap": "--overlap",
    "blend": "--blend",
    "ignore": "--ignore",
    "largest_part_only": "--largest-part-only",
}


def add_options(parser: argparse.ArgumentParser, kind: argparse._MutuallyExclusiveGroup) -> None:
    """Add ``--nnunet`` beside the other kinds, and ``--folds``."""
    kind.add_argument(
        "--nnunet", type=Path, metavar="FOLDER|ZIP", help="a trained nnU-Net v2 model, TotalSegmentator's among them"
    )
    parser.add_argument(
        "--folds", type=folds, metavar="N,N|all", help="folds of an nnU-Net (default: each that was finished)"
    )


def folds(text: str) -> tuple[str, ...]:
    """``0,1`` or ``all``, as names of folds.

    Raises:
        ArgumentTypeError: It is neither.
    """
    names = tuple(part.strip() for part in text.split(","))
    if names == ("all",) or (all(name.isdecimal() for name in names) and len(set(names)) == len(names)):
        return names
    message = f"--folds is {text}; give numbers such as 0,1, or all."
    raise argparse.ArgumentTypeError(message)


def run_nnunet(arguments: argparse.Namespace) -> int:
    """Add a trained nnU-Net."""
    foreign = [option for name, option in _OTHERS.items() if getattr(arguments, name)]
    if foreign:
        message = f"{foreign[0]} has no use with --nnunet, whose plans say that; leave it out."
        raise InputError(message)
    numbered = [name for name, value in arguments.label or [] if value is not None]
    if numbered or len(arguments.label or []) > 1:
        message = "With --nnunet one --label names the organ, without a class; dataset.json has the classes."
        raise InputError(message)
    from BottleneckOODLib.model.nnunet_import import NnunetChoice, add_nnunet  # noqa: PLC0415 - imports torch

    choice = NnunetChoice(
        label=arguments.label[0][0] if arguments.label else None,
        merge=arguments.merge or (),
        folds=arguments.folds or (),
        modality=arguments.modality,
        orientation=arguments.orientation,
        licence=arguments.licence,
        intended_use=arguments.intended_use,
    )
    added = add_nnunet(arguments.name, arguments.nnunet, choice, arguments.output)
    organ = ", ".join(f"{name} = {value}" for name, value in {**added.labels, **added.merged}.items())
    say(f"The model {added.name} lies in {added.folder}; its organ is {organ}, of {added.card['trained_on']}.")
    if "archive_sha256" in added.card:
        print(f"SHA-256 of the archive: {added.card['archive_sha256']}")
    said = added.folder if arguments.output else added.name
    say(f"Next: bottleneck-ood reference build --model {said} --cases FOLDER --output R")
    return 0
