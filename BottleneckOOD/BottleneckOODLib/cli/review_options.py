"""What the commands of ``review`` have in common: the store, the reader, and which cases are wanted."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from BottleneckOODLib.assessment.reader_names import reader_name
from BottleneckOODLib.cli.parsing import share, whole_number
from BottleneckOODLib.errors import InputError

if TYPE_CHECKING:
    from BottleneckOODLib.triage.store import Store
    from BottleneckOODLib.triage.worklist import Wish

READER_VARIABLE = "BOTTLENECK_OOD_READER"
LIGHTS = ("green", "amber", "red", "grey")
CLAIM_NOTE = "A case that you are given is kept from other readers for half an hour."


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the store."""
    parser.add_argument("--store", required=True, metavar="URL", help="a file (SQLite), or a PostgreSQL URL")


def add_reader(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the reader."""
    parser.add_argument(
        "--reader", metavar="NAME", help=f"your name or initials (default: the variable {READER_VARIABLE})"
    )


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell which cases are wanted."""
    parser.add_argument("--blind", action="store_true", help="rate the mask first, then see the light")
    parser.add_argument("--light", choices=LIGHTS, help="cases of this light alone")
    parser.add_argument("--search", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument(
        "--readings",
        type=whole_number("--readings", least=1),
        default=1,
        metavar="N",
        help="how many readers each case needs (default: 1)",
    )
    parser.add_argument(
        "--green-share",
        type=share("--green-share"),
        default=1.0,
        metavar="S",
        help="which share of the green cases is read, 0 to 1 (default: 1)",
    )


def wish_of(arguments: argparse.Namespace) -> Wish:
    """Which cases the options want."""
    from BottleneckOODLib.triage.worklist import Wish  # noqa: PLC0415 - keeps --help fast

    return Wish(
        light=arguments.light or "",
        search=arguments.search,
        readings=arguments.readings,
        green_share=arguments.green_share,
    )


def named_reader(arguments: argparse.Namespace) -> str:
    """Who reads, where the option or the variable says it; empty where neither does."""
    return reader_name(str(arguments.reader or os.environ.get(READER_VARIABLE, "")))


def reader_of(arguments: argparse.Namespace) -> str:
    """Who reads.

    Raises:
        InputError: Neither the option nor the variable names a reader.
    """
    name = named_reader(arguments)
    if not name:
        message = f"A reader needs a name; add --reader, or set the variable {READER_VARIABLE}."
        raise InputError(message)
    return name


def opened(arguments: argparse.Namespace) -> Store:
    """The store, which has to be there already."""
    from BottleneckOODLib.cli.triage import existing  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.store import Store  # noqa: PLC0415

    return Store(existing(arguments.store))
