from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.label_choice import LabelChoice
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume


def labels_with(*values: int) -> LabelVolume:
    voxels = np.zeros((2, 3, 8), np.uint8)
    voxels[0, 0, : len(values)] = values
    return LabelVolume(voxels, Geometry((8, 3, 2), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)), {})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("liver=1", (("liver", 1),)),
        ("liver=1, tumour=2", (("liver", 1), ("tumour", 2))),
        ("5", (("label 5", 5),)),
        ("liver=255", (("liver", 255),)),
    ],
)
def test_values_are_read_with_their_names(text: str, values: tuple[tuple[str, int], ...]) -> None:
    assert LabelChoice.parse(text).values == values


@pytest.mark.parametrize("text", ["", "liver", "liver=", "liver=0", "liver=256", "liver=-1", "liver=1,", "1.5"])
def test_a_value_that_no_label_has_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"value from 1 to 255.*\.$"):
        LabelChoice.parse(text)


def test_chosen_values_are_merged_and_others_are_not_the_organ() -> None:
    organ = LabelChoice.parse("liver=1,tumour=2").organ(labels_with(1, 2, 3, 0, 2), "a.nii.gz")
    assert organ.labels[0, 0].tolist() == [1, 1, 0, 0, 1, 0, 0, 0]
    assert dict(organ.names) == {1: "liver"}


def test_one_structure_needs_no_choice_whatever_its_value() -> None:
    assert LabelChoice().organ(labels_with(5, 0, 5), "a.nii.gz").labels[0, 0, :3].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("choice", "values", "said"),
    [
        ("", (1, 2), r"several structures \(values 1, 2\).*--label"),
        ("liver=5", (1, 2), r"none of liver = 5 \(they hold 1, 2\)"),
        ("", (), "mark nothing"),
        ("liver=5", (), "mark nothing"),
    ],
)
def test_labels_that_do_not_hold_the_organ_are_told_with_what_they_hold(
    choice: str, values: tuple[int, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        (LabelChoice.parse(choice) if choice else LabelChoice()).organ(labels_with(*values), "a.nii.gz")
    assert "a.nii.gz" in str(caught.value)


def test_one_of_several_values_suffices() -> None:
    """A liver without a tumour is a whole liver."""
    assert LabelChoice.parse("liver=1,tumour=2").organ(labels_with(1, 1), "a").labels.sum() == 2
