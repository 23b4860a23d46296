"""A volume's facts as plain data, so that it can go from one process to another beside its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume

HANDED_OVER = "voxels"
"""The file through which voxels go where it is not a pipe."""
_MODALITIES = ("CT", "MR", "unknown")


def facts_of(volume: Volume) -> dict[str, Any]:
    """Everything but the voxels, as JSON holds it to the last digit."""
    return {
        "geometry": asdict(volume.geometry),
        "modality": volume.modality,
        "name": volume.name,
        "acquisition": dict(volume.acquisition),
        "warnings": list(volume.warnings),
    }


def geometry_from(facts: Mapping[str, Any]) -> Geometry:
    """The grid that ``facts_of`` wrote.

    Raises:
        KeyError, TypeError, ValueError: The facts are none.
        InputError: The numbers are no regular grid.
    """
    grid = facts["geometry"]
    i, j, k = (int(value) for value in grid["size_ijk"])
    si, sj, sk = (float(value) for value in grid["spacing_mm"])
    x, y, z = (float(value) for value in grid["origin_lps_mm"])
    return Geometry((i, j, k), (si, sj, sk), (x, y, z), tuple(float(value) for value in grid["direction"]))


def label_facts(labels: LabelVolume) -> dict[str, Any]:
    """Everything but the labels themselves, as JSON holds it."""
    return {"geometry": asdict(labels.geometry), "names": {str(v): name for v, name in labels.names.items()}}


def labels_from(facts: Mapping[str, Any], labels: npt.NDArray[np.uint8]) -> LabelVolume:
    """The label map of which ``label_facts`` told.

    Raises:
        KeyError, TypeError, ValueError: The facts are none.
        InputError: The labels do not fit them.
    """
    return LabelVolume(labels, geometry_from(facts), {int(v): str(name) for v, name in facts["names"].items()})


def volume_from(facts: Mapping[str, Any], voxels: npt.NDArray[np.float32]) -> Volume:
    """The volume of which ``facts_of`` told.

    Raises:
        KeyError, TypeError, ValueError: The facts are none.
        InputError: The voxels do not fit them.
    """
    modality = facts["modality"]
    if modality not in _MODALITIES:
        raise ValueError(modality)
    acquisition = {
        str(name): float(value) if isinstance(value, int | float) else str(value)
        for name, value in facts.get("acquisition", {}).items()
    }
    warnings = tuple(str(warning) for warning in facts["warnings"])
    return Volume(voxels, geometry_from(facts), modality, str(facts["name"]), acquisition, warnings)
