"""Which class runs a model is what its folder says, and that it says nothing means MONAI."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.adapter import loaded
from BottleneckOODLib.model.model_folder import ModelFolder, fingerprint_of
from BottleneckOODLib.model.preprocessing import Preprocessing
from BottleneckOODLib.model.segmenter import Segmenter

CPU = torch.device("cpu")


def test_a_folder_that_names_no_framework_is_run_by_monai(a_model: ModelFolder) -> None:
    assert a_model.framework == "monai"
    assert isinstance(loaded(a_model, CPU), Segmenter)


def test_a_framework_that_is_not_known_is_refused_by_name(a_model: ModelFolder) -> None:
    with pytest.raises(ModelError, match='framework "elastix"'):
        loaded(dataclasses.replace(a_model, framework="elastix"), CPU)


def test_a_volume_is_prepared_as_the_model_was_trained(a_model: ModelFolder, a_small_ct: Volume) -> None:
    before = a_small_ct.voxels.copy()
    tensor, grid = loaded(a_model, CPU).prepare(a_small_ct)
    expected, _ = Preprocessing(a_model.preprocessing).apply(a_small_ct)
    np.testing.assert_array_equal(tensor, expected)
    assert grid.size_ijk == tensor.shape[::-1]
    np.testing.assert_array_equal(a_small_ct.voxels, before)


def test_the_framework_shapes_the_fingerprint_only_where_it_is_named(a_model: ModelFolder) -> None:
    document = json.loads((a_model.folder / "model.json").read_text())
    assert fingerprint_of(document, a_model.weights_sha256) == a_model.fingerprint
    assert fingerprint_of({**document, "framework": "nnunet"}, a_model.weights_sha256) != a_model.fingerprint
