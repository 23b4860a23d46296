"""The tissues that generated bodies are made of."""

from __future__ import annotations

from enum import IntEnum


class Tissue(IntEnum):
    """One value of an anatomy's label map."""

    OUTSIDE = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    MARROW = 5
    LUNG = 6
    LIVER = 7
    SPLEEN = 8
    KIDNEY = 9
    GUT_WALL = 10
    GUT_FLUID = 11
    GUT_GAS = 12
    STOOL = 13
    GALLBLADDER = 14
    AORTA = 15
    VEIN = 16
    LIVER_VESSEL = 17
    MYOCARDIUM = 18
    HEART_BLOOD = 19
    TABLE = 20
    PANCREAS = 21
    SPINAL_CANAL = 22
    INNER_FAT = 23
    URINE = 24
    CARTILAGE = 25
    AIRWAY = 26
    TABLE_SHELL = 27
    BRAIN = 28
    SOFT_TISSUE = 29


LIVER_TISSUES = (Tissue.LIVER, Tissue.LIVER_VESSEL)
"""What a liver mask covers: as experts and public data sets do, the vessels inside count as liver."""

OUTSIDE_BODY = (Tissue.OUTSIDE, Tissue.TABLE, Tissue.TABLE_SHELL)
