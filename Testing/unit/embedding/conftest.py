"""Small cases, some with labels, and a segmenter with random weights that marks about half of the body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.segmenter import Segmenter

MakeCase = Callable[..., CaseForReference]


@pytest.fixture(scope="session")
def a_segmenter(make_model: Callable[..., ModelFolder], tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(make_model(tmp_path_factory.mktemp("model"), "unet"), torch.device("cpu"))


@pytest.fixture
def a_case(a_small_ct: Volume) -> MakeCase:
    """A case by its name; each name has its own noise."""

    def make(
        name: str, *, labelled: bool = True, unreadable: bool = False, shifted_mm: float = 0.0
    ) -> CaseForReference:
        def load() -> tuple[Volume, LabelVolume | None]:
            if unreadable:
                message = f"The image {name}.nii.gz cannot be read; export it again."
                raise InputError(message)
            noise = np.random.default_rng(sum(map(ord, name))).normal(0, 20, a_small_ct.voxels.shape)
            volume = replace(a_small_ct, voxels=(a_small_ct.voxels + noise).astype(np.float32), name=name)
            labels = np.zeros(volume.voxels.shape, np.uint8)
            labels[10:30, 20:40, 30:50] = 1
            origin = tuple(x + shifted_mm for x in volume.geometry.origin_lps_mm)
            geometry = replace(volume.geometry, origin_lps_mm=origin)
            return volume, LabelVolume(labels, geometry, {1: "liver"}) if labelled else None

        return CaseForReference(name, load)

    return make
