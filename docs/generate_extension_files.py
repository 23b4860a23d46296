"""Makes what Slicer wants listed: the module's files in CMake, and the two descriptions of the extension.

    python docs/generate_extension_files.py            write them
    python docs/generate_extension_files.py --check    exit code 1 when one is not what would be written

BottleneckOOD/CMakeLists.txt   the lists of scripts and resources, from the folder
BottleneckOOD.s4ext            from the EXTENSION_ lines of the top-level CMakeLists.txt
BottleneckOOD.json             the same, for the Extensions Index
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "BottleneckOOD"
REVISION = "main"
SCHEMA = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
# Slicer's translation tools find these by themselves, and refuse to have them listed.
NOT_LISTED = "Translations"
# Copied by rules of their own.
EMBEDDED = "_resources"


def scripts(module: Path) -> list[str]:
    """The module file and the library's files, relative to the module's folder."""
    library = sorted(path.relative_to(module).as_posix() for path in (module / f"{NAME}Lib").rglob("*.py"))
    return [name for name in (f"{NAME}.py",) if (module / name).is_file()] + library


def resources(module: Path) -> list[str]:
    """What is no script: the files of ``Resources`` and those beside the library's scripts, relative to the folder."""
    folders = (module / f"{NAME}Lib", module / "Resources")
    files = [path.relative_to(module) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sorted(
        path.as_posix()
        for path in files
        if NOT_LISTED not in path.parts
        and not any(part.startswith((".", "__")) or part == EMBEDDED for part in path.parts)
        and path.suffix != ".py"
    )


def with_list(cmake: str, variable: str, files: list[str]) -> str:
    """The text of a CMake file with another list in ``set(variable ...)``."""
    lines = "".join(f"  {name}\n" for name in files)
    pattern = re.compile(rf"^set\({variable}\n(?:  [^)\n]+\n)*  \)$", re.MULTILINE)
    if len(pattern.findall(cmake)) != 1:
        message = f"set({variable} ...) must stand once in {NAME}/CMakeLists.txt, a file a line"
        raise ValueError(message)
    return pattern.sub(lambda _: f"set({variable}\n{lines}  )", cmake)


def metadata(cmake: str) -> dict[str, str]:
    """The EXTENSION_ lines of the top-level CMake file: lower-case name without the prefix, value."""
    found = re.findall(r'^set\(EXTENSION_([A-Z_]+) "?([^"\n]+?)"?\)$', cmake, re.MULTILINE)
    return {name.lower(): value for name, value in found}


def s4ext(facts: Mapping[str, str]) -> str:
    """The description that Slicer's build makes of an extension: a keyword and its value a line."""
    fields = {
        "scm": "git",
        "scmurl": facts["homepage"],
        "scmrevision": REVISION,
        "depends": facts["depends"],
        "build_subdirectory": ".",
        "homepage": facts["homepage"],
        "contributors": facts["contributors"],
        "category": facts["category"],
        "iconurl": facts["iconurl"],
        "status": facts["status"],
        "tier": facts["tier"],
        "description": facts["description"],
        "screenshoturls": facts["screenshoturls"],
        "enabled": "1",
    }
    head = "# Made by docs/generate_extension_files.py from CMakeLists.txt.\n"
    return head + "".join(f"{keyword} {value}\n" for keyword, value in fields.items())


def catalogue_entry(facts: Mapping[str, str]) -> str:
    """The entry for the Extensions Index; its file name is the extension's name."""
    entry = {
        "$schema": SCHEMA,
        "build_dependencies": facts["depends"].split(),
        "build_subdirectory": ".",
        "category": facts["category"],
        "scm_revision": REVISION,
        "scm_url": facts["homepage"],
        "tier": int(facts["tier"]),
    }
    return json.dumps(entry, indent=2) + "\n"


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Each generated file and its text."""
    module_list = root / NAME / "CMakeLists.txt"
    text = module_list.read_text(encoding="utf-8")
    text = with_list(text, "MODULE_PYTHON_SCRIPTS", scripts(root / NAME))
    text = with_list(text, "MODULE_PYTHON_RESOURCES", resources(root / NAME))
    facts = metadata((root / "CMakeLists.txt").read_text(encoding="utf-8"))
    return {
        module_list: text,
        root / f"{NAME}.s4ext": s4ext(facts),
        root / f"{NAME}.json": catalogue_entry(facts),
    }


def outdated(root: Path = ROOT) -> list[Path]:
    return [path for path, text in generated(root).items() if not path.is_file() or path.read_text("utf-8") != text]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a file is outdated")
    if parser.parse_args(arguments).check:
        for path in outdated():
            print(f"{path.relative_to(ROOT).as_posix()} is outdated: run python docs/generate_extension_files.py")
        return 1 if outdated() else 0
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
