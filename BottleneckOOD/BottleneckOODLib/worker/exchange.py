"""The private folder through which volumes and assessments go from one process to the other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.imaging.volume_facts import facts_of, volume_from

VOXELS_FILE, FACTS_FILE = "voxels.npy", "volume.json"
# A case's own name may be long, and must not make a path too long for Windows.
_ANY_CASE = "case"


def put_volume(volume: Volume, folder: Path) -> None:
    """Write a volume for the other process, voxels first.

    Raises:
        OSError: The folder exists, or cannot be written.
    """
    folder.mkdir(mode=0o700)
    np.save(folder / VOXELS_FILE, volume.voxels, allow_pickle=False)
    (folder / FACTS_FILE).write_text(json.dumps(facts_of(volume)), encoding="utf-8")


def take_volume(folder: Path) -> Volume:
    """Read what ``put_volume`` wrote, to the last digit; the files are then no longer needed.

    Raises:
        InputError: The files are missing or damaged.
    """
    try:
        voxels = np.load(folder / VOXELS_FILE, allow_pickle=False)
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        return volume_from(facts, voxels)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        message = "The volume could not be handed to the worker; check the free space of the temporary folder."
        raise InputError(message) from None


def put_assessment(assessment: Assessment, folder: Path) -> Path:
    """Write an assessment for the other process, without its picture; the case's name stays out of every path.

    Returns:
        The case's folder inside ``folder``.

    Raises:
        OutputError: It cannot be written.
    """
    return replace(assessment, case_id=_ANY_CASE).save(folder, picture=False)


def take_assessment(folder: Path, case_id: str) -> Assessment:
    """Read what ``put_assessment`` wrote, and give the case its name again.

    Raises:
        InputError: A file is missing or damaged.
    """
    return replace(Assessment.load(folder), case_id=case_id)
