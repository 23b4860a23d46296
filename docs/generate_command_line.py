"""Makes docs/command-line.md from the parser of the command line.

    python docs/generate_command_line.py            write the page
    python docs/generate_command_line.py --check    exit code 1 when the page is not what would be written

Built from the parser's actions: argparse's own usage text differs from one Python to the next.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "command-line.md"
if str(ROOT / "BottleneckOOD") not in sys.path:
    sys.path.insert(0, str(ROOT / "BottleneckOOD"))

from BottleneckOODLib.catalogue import HOME_VARIABLE  # noqa: E402 - the checkout's library, wherever this is run
from BottleneckOODLib.cli.main import DONE, FAILED, STOPPED, WRONG_INPUT, build_parser  # noqa: E402
from BottleneckOODLib.cli.review_options import READER_VARIABLE  # noqa: E402

WIDTH = 100
PROGRAM = "bottleneck-ood"
_DEFAULT = re.compile(r"\s*\(default: (?P<bracketed>.+)\)$|^default: (?P<alone>.+)$")
_EXAMPLES, _EXIT_CODES = "examples:", "exit codes:"


class Command(NamedTuple):
    """One command or subcommand: its words after the program's name, what its parent says of it, its parser."""

    words: tuple[str, ...]
    summary: str
    parser: argparse.ArgumentParser

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join((PROGRAM, *self.words))


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = "") -> Iterator[Command]:
    """The parser and all below it, in the order of --help."""
    yield Command(words, summary, parser)
    choice = _choice_of_commands(parser)
    if choice is not None:
        for entry in choice._choices_actions:
            yield from commands(choice.choices[entry.dest], (*words, entry.dest), entry.help or "")


def page() -> str:
    """The whole page."""
    everything = list(commands(build_parser()))
    parts = [_head(everything), *(_section(command) for command in everything[1:]), _tail()]
    return "\n\n".join(parts) + "\n"


def _head(everything: list[Command]) -> str:
    top, rest = everything[0], everything[1:]
    rows = ["| command | what it does |", "|---|---|"]
    rows += [f"| [`{c.name}`](#{_anchor(c)}) | {_cell(c.summary)} |" for c in rest if not _choice_of_commands(c.parser)]
    return "\n\n".join(
        [
            "# Command line",
            "<!-- Made by docs/generate_command_line.py from the parser; change the parser and run it again. -->",
            " ".join((top.parser.description or "").split()),
            f"After an installation the command is `{PROGRAM}`; in a checkout it lies in `.venv/bin` "
            "(on Windows `.venv\\Scripts`). Every command tells its options with `--help`.",
            "\n".join(rows),
            *_examples(top.parser),
            "Options that stand before the command:",
            _table(top.parser, with_help=True),
        ]
    )


def _section(command: Command) -> str:
    parts = [f"{'#' * (len(command.words) + 1)} `{command.name}`", _sentence(command.summary)]
    if command.parser.description:
        parts.append(" ".join(command.parser.description.split()))
    choice = _choice_of_commands(command.parser)
    if choice is not None:
        names = ", ".join(f"`{name}`" for name in choice.choices)
        parts.append(f"Needs one of {names} after it.")
        return "\n\n".join([*parts, *_examples(command.parser)])
    parts.append(_code(_usage(command)))
    if _listed(command.parser):
        parts.append(_table(command.parser))
    return "\n\n".join([*parts, *_remarks(command.parser), *_examples(command.parser)])


def _tail() -> str:
    return f"""\
## Exit codes

| code | meaning |
|---|---|
| {DONE} | done, whatever the light: a red case is a result, not a failure |
| {FAILED} | a fault of the program; run again with `{PROGRAM} --debug ...` to see where, and report it |
| {WRONG_INPUT} | an input, an option or the output folder was wrong; one sentence on standard error says what and \
what to do. Of several inputs those that can be \
read are done all the same; a wrong option, two inputs of one name, or a result that exists already stops before \
anything is done |
| {STOPPED} | stopped with Ctrl+C; cases that were done are kept, the one in work leaves nothing behind |

Results go to standard output; progress, and sentences about what went wrong, go to standard error.

## Environment variables

| variable | meaning | default |
|---|---|---|
| `{HOME_VARIABLE}` | folder with your own models (`models/NAME/model.json`) and references \
(`references/NAME/reference.json`); they can then be named like the embedded `demo`, and come before an embedded one \
of the same name | `.bottleneck-ood` in the home folder |
| `{READER_VARIABLE}` | who reads, for the commands of `review` without `--reader` | none |

## Shell completion

`{PROGRAM} completion` prints a script; the Tab key then completes commands and options.

{_code('eval "$(' + PROGRAM + ' completion bash)"   # in ~/.bashrc', "sh")}

{_code('eval "$(' + PROGRAM + ' completion zsh)"    # in ~/.zshrc, after compinit', "sh")}

{_code(PROGRAM + " completion tcsh > ~/.bottleneck-ood.csh" + chr(10) + "source ~/.bottleneck-ood.csh", "sh")}"""


def _usage(command: Command) -> str:
    """One line, or several of at most ``WIDTH`` characters that never break inside an option."""
    grouped: dict[argparse.Action, argparse._MutuallyExclusiveGroup] = {}
    for group in command.parser._mutually_exclusive_groups:
        grouped.update(dict.fromkeys(group._group_actions, group))
    options: list[str] = []
    for action in (a for a in _listed(command.parser) if a.option_strings):
        group = grouped.get(action)
        if group is None:
            options.append(_spelled(action) if action.required else f"[{_spelled(action)}]")
        elif action is group._group_actions[0]:
            either = " | ".join(_spelled(a) for a in group._group_actions)
            options.append(f"({either})" if group.required else f"[{either}]")
    words = [*options, *(_positional(a) for a in _listed(command.parser) if not a.option_strings)]
    indent = " " * (len(command.name) + 1)
    lines, line = [], command.name
    for word in words:
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}"
    return "\n".join([*lines, line])


def _table(parser: argparse.ArgumentParser, *, with_help: bool = False) -> str:
    rows = ["| argument or option | default | meaning |", "|---|---|---|"]
    for action in sorted(_listed(parser, with_help=with_help), key=lambda a: bool(a.option_strings)):
        if action.option_strings:
            name = ", ".join(f"`{_spelled(action, option)}`" for option in action.option_strings)
        else:
            name = f"`{_positional(action)}`"
        rows.append(f"| {_cell(name)} | {_cell(_default(action, parser))} | {_cell(_meaning(action, parser))} |")
    return "\n".join(rows)


def _default(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    if any(action in group._group_actions and group.required for group in parser._mutually_exclusive_groups):
        return "one of them is required"
    if action.required:
        return "required"
    if action.nargs == 0:
        return "off"
    if action.default is not None and action.default != argparse.SUPPRESS:
        value = action.default
        return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    told = _DEFAULT.search(_help(action))
    return (told["bracketed"] or told["alone"]) if told else "none"


def _meaning(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    told = _DEFAULT.sub("", _help(action))
    choices = "" if action.choices is None else "one of " + ", ".join(f"`{choice}`" for choice in action.choices)
    others = [
        a.option_strings[-1]
        for group in parser._mutually_exclusive_groups
        if action in group._group_actions
        for a in group._group_actions
        if a is not action
    ]
    excluded = f"not together with `{'`, `'.join(others)}`" if others else ""
    return "; ".join(text for text in (told, choices, excluded) if text)


def _remarks(parser: argparse.ArgumentParser) -> list[str]:
    """What the epilog says besides examples and exit codes."""
    blocks = (parser.epilog or "").split("\n\n")
    return [" ".join(b.split()) for b in blocks if b and not b.startswith((_EXAMPLES, _EXIT_CODES))]


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    blocks = [block for block in (parser.epilog or "").split("\n\n") if block.startswith(_EXAMPLES)]
    return [f"Examples:\n\n{_code(textwrap.dedent(block.split(chr(10), 1)[1]), 'sh')}" for block in blocks]


def _listed(parser: argparse.ArgumentParser, *, with_help: bool = False) -> list[argparse.Action]:
    """Arguments and options without the choice of commands; ``--help``, which all have, only where asked for."""
    left_out = (argparse._SubParsersAction,) if with_help else (argparse._SubParsersAction, argparse._HelpAction)
    return [a for a in parser._actions if not isinstance(a, left_out) and a.help != argparse.SUPPRESS]


def _choice_of_commands(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    return next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)


def _spelled(action: argparse.Action, option: str | None = None) -> str:
    name = option or max(action.option_strings, key=len)
    return name if action.nargs == 0 else f"{name} {_value(action)}"


def _positional(action: argparse.Action) -> str:
    value = _value(action)
    return {"+": f"{value} [{value} ...]", "*": f"[{value} ...]", "?": f"[{value}]"}.get(str(action.nargs), value)


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices is not None else action.dest.upper()


def _help(action: argparse.Action) -> str:
    return " ".join((action.help or "").split()) % {**vars(action), "prog": PROGRAM}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```"


def _anchor(command: Command) -> str:
    return "-".join((PROGRAM, *command.words))


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description="Makes docs/command-line.md from the parser of the command line.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    wanted = page()
    if not parser.parse_args().check:
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print("docs/command-line.md is out of date; run: python docs/generate_command_line.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
