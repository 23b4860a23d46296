"""``bottleneck-ood completion``: completion for the shell."""

from __future__ import annotations

import argparse

from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.errors import DependencyError


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "completion",
        "print the completion script of a shell",
        ['eval "$(bottleneck-ood completion bash)"', "bottleneck-ood completion zsh > _bottleneck-ood"],
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script; for bash: ``eval "$(bottleneck-ood completion bash)"``."""
    try:
        import shtab  # noqa: PLC0415 - only for this verb
    except ImportError:
        message = "The completion script needs shtab, which is not installed; run: pip install shtab"
        raise DependencyError(message) from None
    from BottleneckOODLib.cli.main import build_parser  # noqa: PLC0415 - main imports this file

    print(shtab.complete(build_parser(), arguments.shell))
    return 0
