"""Skin, fat, muscles, bones, arms and table of a drawn body."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

import numpy as np

from BottleneckOODLib.synthesis.canvas import Canvas
from BottleneckOODLib.synthesis.fields import Array, smooth_field
from BottleneckOODLib.synthesis.tissues import Tissue

# Half axes of an average trunk at heights above the right diaphragm, in mm: thighs, hips, iliac crest, waist, lower
# chest, dome, mid chest, armpits, shoulders, base of the neck, neck.
_HEIGHTS = (-480, -400, -330, -240, -160, -60, 0, 110, 180, 225, 255, 290, 340)
_HALF_WIDTHS = (165, 178, 180, 160, 150, 152, 156, 160, 168, 182, 130, 68, 62)
_HALF_DEPTHS = (90, 104, 112, 106, 104, 108, 110, 108, 100, 84, 74, 66, 64)


def draw_wall(canvas: Canvas) -> None:
    """Paint everything around the body's cavity, and note the cavity's distances on the canvas."""
    rng = canvas.rng
    width, depth = rng.uniform(0.86, 1.08), rng.uniform(0.84, 1.1)
    fat = float(np.exp(rng.uniform(np.log(4), np.log(42))))
    muscle = rng.uniform(9, 17)
    z = canvas.z
    half_x = (np.interp(z, _HEIGHTS, _HALF_WIDTHS) * width + 0.8 * fat).astype(np.float32)
    half_y = (np.interp(z, _HEIGHTS, _HALF_DEPTHS) * depth + 0.8 * fat).astype(np.float32)
    power = rng.uniform(2.15, 2.7)
    ratio = ((np.abs(canvas.x) / half_x) ** power + (np.abs(canvas.y) / half_y) ** power) ** np.float32(1 / power)
    ratio = np.maximum(ratio, 1e-3)
    canvas.depth = (np.hypot(canvas.x, canvas.y) * (1 / ratio - 1)).astype(np.float32)
    # More fat below the ribs than on the chest; some people carry it in front, more of them at the back.
    low = np.clip((-z - 40) / 120, 0, 1)
    tilt = rng.spawn(1)[0].uniform(-0.3, 0.7)
    local_fat = fat * (0.55 + 0.6 * low) * (1 + tilt * np.clip(canvas.y / half_y, -1, 1))
    local_fat = local_fat * (1 + 0.15 * smooth_field(rng, z.shape, canvas.spacing_mm, 90))
    canvas.inner = (canvas.depth - local_fat - muscle).astype(np.float32)
    canvas.back_mm = float(np.median(half_y)) - fat - muscle
    canvas.spine_y_mm = rng.uniform(0.42, 0.52) * canvas.back_mm

    canvas.paint(canvas.depth > 0, Tissue.FAT)
    canvas.paint((canvas.depth > 0) & (canvas.depth < rng.uniform(1.5, 2.5)), Tissue.SKIN)
    canvas.paint(canvas.depth > local_fat, Tissue.MUSCLE)
    if rng.random() < 0.7:  # thin fat between the layers of the wall
        layer = canvas.depth - local_fat
        canvas.paint((layer > 0.42 * muscle) & (layer < 0.42 * muscle + 2), Tissue.FAT)
    canvas.paint((canvas.inner > 0) & (z < 205), Tissue.INNER_FAT)  # above are the shoulders
    canvas.paint((canvas.inner > 0) & (z >= 205), Tissue.MUSCLE)
    _paint_ribs(canvas, canvas.depth - local_fat, muscle)
    _paint_back(canvas)
    _paint_spine(canvas)
    _paint_pelvis(canvas, width)
    _paint_arms(canvas, half_x)
    _paint_table(canvas, float(half_y.max()))


def _paint_ribs(canvas: Canvas, layer: Array, muscle: float) -> None:
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    half = max(canvas.back_mm, 60.0)
    gap = rng.uniform(25, 31)
    slope = rng.uniform(0.45, 0.75)
    phase = np.mod(z + slope * (half - y) + rng.uniform(0, gap), gap)
    middle = layer - 0.55 * muscle
    margin = -15 - rng.uniform(80, 110) * np.clip(np.abs(x) / 130, 0, 1) - 25 * np.clip(y / half, 0, 1)
    chest = (z > margin) & (z < 215)  # the first rib's height
    rib = chest & (np.abs(middle) < 5.5) & (phase < 11)
    front = y < -0.62 * half
    canvas.paint(rib & ~front, Tissue.CORTICAL_BONE)
    canvas.paint(rib & (np.abs(middle) < 2.6) & (np.abs(phase - 5.5) < 3) & ~front, Tissue.MARROW)
    canvas.paint(rib & front, Tissue.CARTILAGE)
    sternum = (np.abs(x) < 17) & (y < 0) & (z > -12) & (z < 165) & (np.abs(middle) < 6.5)
    canvas.paint(sternum, Tissue.CORTICAL_BONE)
    canvas.paint(sternum & (np.abs(middle) < 4) & (np.abs(x) < 14), Tissue.MARROW)


def _paint_back(canvas: Canvas) -> None:
    """The long muscles beside the spine, and the loin muscles."""
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    side = np.abs(x)
    spine = canvas.spine_y_mm
    size = rng.uniform(0.85, 1.2)
    long_muscle = ((side - 33) / (28 * size)) ** 2 + ((y - spine - 34) / (21 * size)) ** 2 < 1
    canvas.paint(long_muscle & (canvas.depth > 4) & (z < 230), Tissue.MUSCLE)
    grow = np.clip((-z - 120) / 120, 0.0, 1.2)
    loin = ((side - 42) / (6 + 18 * size * grow)) ** 2 + ((y - spine + 2) / (6 + 18 * size * grow)) ** 2 < 1
    canvas.paint(loin & (z < -125) & (canvas.depth > 4), Tissue.MUSCLE)


def _paint_spine(canvas: Canvas) -> None:
    rng = canvas.rng
    x, z = canvas.x, canvas.z
    bow = rng.uniform(8, 22)
    y = canvas.y - canvas.spine_y_mm + bow * np.cos((z + 230) / 130) * np.clip(-z / 150, 0, 1) - 8
    pitch = rng.uniform(31, 36)
    size = rng.uniform(0.88, 1.1) * (1 - np.clip(z / 900, -0.15, 0.35))
    body = np.sqrt((x / (23 * size)) ** 2 + ((y + 2) / (17 * size)) ** 2)
    phase = np.mod(z, pitch)
    here = (z > -345) & (canvas.depth > 5)
    disc = phase < 8  # a disc is about 8 mm tall
    canvas.paint(here & (body < 1), Tissue.CORTICAL_BONE)
    canvas.paint(here & (body < 0.9) & (phase > 9.5) & (phase < pitch - 1.5), Tissue.MARROW)
    canvas.paint(here & (body < 1) & disc, Tissue.CARTILAGE)
    arch = (np.hypot(x / 15, (y - 23) / 12) < 1) & here
    canvas.paint(arch, Tissue.CORTICAL_BONE)
    process = here & (np.abs(x) < 4) & (y > 30) & (y < 55) & (phase > 6) & (phase < 24)
    canvas.paint(process, Tissue.CORTICAL_BONE)
    wing = here & (np.abs(x) < 38) & (np.abs(x) > 12) & (np.abs(y - 22) < 5) & (np.abs(phase - 20) < 6)
    canvas.paint(wing, Tissue.CORTICAL_BONE)
    canvas.paint((np.hypot(x / 10, (y - 23) / 8.5) < 1) & here, Tissue.SPINAL_CANAL)


def _paint_pelvis(canvas: Canvas, width: float) -> None:
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    if float(z.min()) > -220:  # above the pelvis
        return
    side = np.abs(x) / width
    glute = (y > 0) & (canvas.depth > 20) & (canvas.inner < 45) & (z < -265)
    canvas.paint(glute, Tissue.MUSCLE)
    wing = np.sqrt(((side - 40) / 88) ** 2 + ((y - 15) / 78) ** 2 + ((z + 300) / 92) ** 2)
    ilium = (np.abs(wing - 1) < 0.075) & (z > -365) & (z < -215) & (y > -45) & (side > 48)
    canvas.paint(ilium & (canvas.depth > 6), Tissue.CORTICAL_BONE)
    canvas.paint(ilium & (np.abs(wing - 1) < 0.045) & (canvas.depth > 8), Tissue.MARROW)
    sacrum = np.sqrt((x / 48) ** 2 + ((y - canvas.spine_y_mm - 12) / 22) ** 2 + ((z + 330) / 62) ** 2)
    canvas.paint(sacrum < 1, Tissue.CORTICAL_BONE)
    canvas.paint(sacrum < 0.88, Tissue.MARROW)
    hip = rng.uniform(85, 95) * width
    for sign in (-1, 1):
        canvas.ball((sign * hip, 5, -375), (25, 25, 25), Tissue.CORTICAL_BONE)
        canvas.ball((sign * hip, 5, -375), (21, 21, 21), Tissue.MARROW)
        canvas.ball((sign * (hip + 45), 15, -415), (19, 19, 60), Tissue.CORTICAL_BONE)
        canvas.ball((sign * (hip + 45), 15, -415), (13, 13, 55), Tissue.MARROW)


def _paint_arms(canvas: Canvas, half_x: Array) -> None:
    rng = canvas.rng
    if rng.random() < 0.72:  # most are scanned with their arms up, out of view
        return
    size = rng.uniform(32, 46)
    reach = float(np.median(half_x)) + size + rng.uniform(2, 14)
    depth = rng.uniform(-20, 45)
    sides = (-1, 1) if rng.random() < 0.75 else (int(rng.choice([-1, 1])),)
    for sign in sides:
        lean = rng.uniform(-0.06, 0.06)
        x = canvas.x - sign * reach - lean * canvas.z
        r = np.hypot(x, (canvas.y - depth) / 1.1) / size
        arm = (r < 1) & (canvas.depth < 0) & (canvas.z < 200)
        canvas.paint(arm, Tissue.FAT)
        canvas.paint(arm & (r < 0.82), Tissue.MUSCLE)
        canvas.paint(arm & (r < 0.3), Tissue.CORTICAL_BONE)
        canvas.paint(arm & (r < 0.16), Tissue.MARROW)


def _paint_table(canvas: Canvas, half_depth: float) -> None:
    rng = canvas.rng
    if rng.random() < 0.2:  # cropped away, or hidden by a small field of view
        return
    x = canvas.x - rng.uniform(-15, 15)
    top = half_depth + rng.uniform(2, 18)
    curve = rng.choice([0.0, rng.uniform(0.0004, 0.0016)])
    below = canvas.y - top + curve * x**2
    thick = rng.uniform(8, 45)
    table = (below > 0) & (below < thick) & (np.abs(x) < rng.uniform(190, 260)) & (canvas.depth < -1)
    free = canvas.labels == Tissue.OUTSIDE
    canvas.paint(table & free, Tissue.TABLE)
    shell = rng.uniform(1.5, 4)
    canvas.paint(table & free & ((below < shell) | (below > thick - shell)), Tissue.TABLE_SHELL)
