"""Liver, neighbours, vessels, bowel and chest of a drawn body."""
# ruff: noqa: PLR2004 - sizes and odds of a drawn body: a name for each would say no more than its place does

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from BottleneckOODLib.synthesis.canvas import Canvas
from BottleneckOODLib.synthesis.fields import Array, smooth_field, smooth_maximum
from BottleneckOODLib.synthesis.tissues import Tissue

Point = tuple[float, float, float]
_ML = 1e-3


def draw_organs(canvas: Canvas) -> None:
    """Paint the organs, from the ones that give way to the ones that push."""
    rng = canvas.rng
    _draw_diaphragm(canvas)
    _draw_bowel(canvas)
    _draw_chest(canvas)
    _draw_spleen_and_stomach(canvas)
    _draw_liver(canvas, target_ml=float(np.exp(rng.uniform(np.log(900), np.log(2500)))))
    _draw_kidneys(canvas)
    if rng.random() < 0.2:
        _draw_mass(canvas)
    _draw_great_vessels(canvas)
    _draw_liver_vessels(canvas)
    canvas.ball(
        (rng.uniform(-65, -40), rng.uniform(-60, -40), rng.uniform(-130, -105)),
        (rng.uniform(9, 19), rng.uniform(10, 20), rng.uniform(22, 38)),
        Tissue.GALLBLADDER,
        inside_cavity=True,
    )
    canvas.ball(
        (rng.uniform(-6, 6), -15, -375), (rng.uniform(25, 50), rng.uniform(22, 40), rng.uniform(18, 45)), Tissue.URINE
    )


def _draw_diaphragm(canvas: Canvas) -> None:
    """Height of the diaphragm above each voxel's column, on ``canvas.floor``."""
    rng = canvas.rng
    left_drop = rng.uniform(2, 28)
    share = 1 / (1 + np.exp(-(canvas.x - 5) / 22))
    peak = -left_drop * share - rng.uniform(6, 22) * np.exp(-(((canvas.x - 8) / 32) ** 2))
    behind = np.clip(canvas.y / max(canvas.back_mm, 60), -0.6, 1)
    drop = rng.uniform(55, 85) * (1 + 0.6 * behind)
    recess = drop * np.exp(-np.maximum(canvas.inner, 0) / rng.uniform(15, 26))
    canvas.floor = (peak - recess + 5).astype(np.float32)


def _draw_liver(canvas: Canvas, *, target_ml: float) -> None:
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    right = float(x[canvas.inner > 0].min()) if np.any(canvas.inner > 0) else -140.0
    tip = rng.uniform(0, 118)
    along = np.clip((x - right) / (tip - right), 0, 1.2)
    taper = rng.uniform(0.7, 1.6)
    tilt = rng.uniform(0.05, 0.4)
    front = rng.uniform(-12, 18)
    behind = 60 / (1 + np.exp((x + rng.uniform(10, 35)) / 14)) * 2 + front
    # Some livers float in fluid, away from the wall and the diaphragm.
    gap = rng.uniform(1, 3) if rng.random() < 0.88 else rng.uniform(4, 18)
    top = z - (canvas.floor - gap)
    wall = -(canvas.inner - gap)
    back: Array = np.asarray(y - behind, np.float32)
    side = x - tip + rng.uniform(-0.3, 0.5) * (y + 20) + rng.uniform(-0.4, 0.2) * (z + 60)
    waves = rng.uniform(0, 4) * smooth_field(rng, x.shape, canvas.spacing_mm, 45)
    length = rng.uniform(120, 190)
    rounding = rng.uniform(4, 11)
    voxel_ml = float(np.prod(canvas.spacing_mm)) * _ML
    liver = np.zeros(x.shape, bool)
    for _ in range(4):
        low = -12 - length * np.maximum(1 - along, 0) ** taper + tilt * (y - 10)
        distance = smooth_maximum(top, wall, back, side, np.asarray(low - z, np.float32), sharpness_mm=rounding)
        liver = (distance + waves < 0) & (canvas.inner > 0)
        volume = liver.sum() * voxel_ml
        if abs(volume / target_ml - 1) < 0.05 or volume == 0:
            break
        length = float(np.clip(length * (target_ml / volume) ** 0.8, 105, 240))
    soft = np.isin(
        canvas.labels, (Tissue.MUSCLE, Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.SPINAL_CANAL, Tissue.CARTILAGE)
    )
    canvas.paint(liver & ~soft, Tissue.LIVER)


def _draw_chest(canvas: Canvas) -> None:
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    ceiling = 215 - 60 * np.clip(np.abs(x) / 130, 0, 1) ** 2
    chest = (canvas.inner > 0) & (z > canvas.floor + 2.5) & (z < ceiling)
    free = ~np.isin(
        canvas.labels, (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.SPINAL_CANAL, Tissue.CARTILAGE, Tissue.MUSCLE)
    )
    middle = 14 - 10 * np.clip(z / 150, 0, 1)
    half = 27 + 8 * np.clip(-y / 60, 0, 1)
    lung = chest & free & (np.abs(x - middle) > half)
    # Below the back of the diaphragm a thin muscle parts lung and belly.
    muscle = (np.abs(z - canvas.floor - 1) < 1.8) & (canvas.inner > 0) & free & (z > -150)
    canvas.paint(muscle, Tissue.MUSCLE)
    canvas.paint(lung, Tissue.LUNG)
    shift = rng.uniform(-8, 10)
    size = rng.uniform(0.85, 1.25)
    base = float(rng.uniform(30, 44)) * size
    heart = (27 + shift, -28.0, base - 6)
    above = canvas.z > canvas.floor + 3
    low = canvas.box((heart[0] - 90, -110, -60), (heart[0] + 90, 60, 150))
    xs, ys, zs = x[low] - heart[0], y[low] - heart[1], z[low] - heart[2]
    u, v = 0.82 * xs - 0.57 * zs, 0.57 * xs + 0.82 * zs
    bulk = np.sqrt((u / (62 * size)) ** 2 + (ys / (46 * size)) ** 2 + (v / (47 * size)) ** 2)
    room = above[low] & (canvas.inner[low] > 3)
    canvas.paint((bulk < 1.08) & room, Tissue.INNER_FAT, low)
    canvas.paint((bulk < 1) & room, Tissue.MYOCARDIUM, low)
    for dx, dy, dz, r in ((28, 8, -8, 24), (-2, -22, -8, 24), (-30, -8, 6, 22), (-2, 22, 12, 22)):
        near = ((xs - dx * size) ** 2 + (ys - dy * size) ** 2 + (zs - dz * size) ** 2) < (r * size) ** 2
        canvas.paint(near & (bulk < 0.9) & room, Tissue.HEART_BLOOD, low)
    canvas.ball((-2, canvas.spine_y_mm - 45, 150), (9, 9, 95), Tissue.AIRWAY)
    canvas.ball((8, canvas.spine_y_mm - 27, 90), (7, 6, 150), Tissue.SOFT_TISSUE)
    if rng.random() < 0.2:  # fluid or collapsed lung at the back
        level = canvas.back_mm * rng.uniform(0.3, 0.85)
        fluid = (canvas.labels == Tissue.LUNG) & (y + rng.uniform(0, 0.4) * z > level)
        canvas.paint(fluid, rng.choice([Tissue.GUT_FLUID, Tissue.SOFT_TISSUE]))


def _draw_spleen_and_stomach(canvas: Canvas) -> None:
    rng = canvas.rng
    x, y, z = canvas.x, canvas.y, canvas.z
    below = (z < canvas.floor - 2) & (canvas.inner > 2)
    centre = (rng.uniform(58, 78), rng.uniform(-12, 12), rng.uniform(-60, -38))
    bulge = rng.uniform(0.65, 1.35)
    parts = (
        (centre, (32 * bulge, 34 * bulge, 40 * bulge)),
        ((centre[0] - 8, centre[1] - 28, centre[2] - 38), (27 * bulge, 26 * bulge, 42)),
        ((centre[0] - 45, centre[1] - 38, centre[2] - 62), (42, 19 * bulge, 20 * bulge)),
    )
    size = rng.uniform(0.75, 1.35)
    spleen = ((x - 112) / (36 * size)) ** 2 + ((y - 38) / (48 * size)) ** 2 + ((z + 62) / (52 * size)) ** 2 < 1
    canvas.paint(spleen & below, Tissue.SPLEEN)
    distance = np.full(x.shape, 1e3, np.float32)
    for c, r in parts:
        ratio = np.sqrt(((x - c[0]) / r[0]) ** 2 + ((y - c[1]) / r[1]) ** 2 + ((z - c[2]) / r[2]) ** 2)
        distance = np.minimum(distance, (ratio - 1) * min(r))
    stomach = (distance < 0) & below
    canvas.paint(stomach, Tissue.GUT_WALL)
    inside = stomach & (distance < -rng.uniform(3.5, 6))
    canvas.paint(inside, Tissue.GUT_FLUID)
    canvas.paint(inside & (y < centre[1] + rng.uniform(-45, 8)), Tissue.GUT_GAS)
    if rng.random() < 0.4:  # food
        lumps = smooth_field(rng, x.shape, canvas.spacing_mm, 15) > rng.uniform(-0.5, 1)
        canvas.paint(inside & lumps & (canvas.labels == Tissue.GUT_FLUID), Tissue.STOOL)


def _draw_mass(canvas: Canvas) -> None:
    """A large cyst or tumour in the belly or the pelvis."""
    rng = canvas.rng
    size = rng.uniform(28, 85)
    centre = (rng.uniform(-60, 60), rng.uniform(-45, 15), rng.uniform(-340, -150))
    radii = (size * rng.uniform(0.7, 1.3), size * rng.uniform(0.6, 1), size * rng.uniform(0.7, 1.4))
    loose = (Tissue.INNER_FAT, Tissue.GUT_WALL, Tissue.GUT_FLUID, Tissue.GUT_GAS, Tissue.STOOL)
    core = (radii[0] - 6, radii[1] - 6, radii[2] - 6)
    canvas.ball(centre, radii, Tissue.SOFT_TISSUE, over=loose, inside_cavity=True)
    canvas.ball(
        centre,
        core,
        Tissue.URINE if rng.random() < 0.5 else Tissue.SPLEEN,
        over=(Tissue.SOFT_TISSUE,),
        inside_cavity=True,
    )


def _draw_kidneys(canvas: Canvas) -> None:
    rng = canvas.rng
    pancreas_z = rng.uniform(-118, -92)
    for step in np.linspace(0, 1, 12):
        centre = (-25 + 105 * step, canvas.spine_y_mm - 48 + 25 * step, pancreas_z + 28 * step)
        r = rng.uniform(8, 13)
        canvas.ball(centre, (r, r, r), Tissue.PANCREAS, over=(Tissue.INNER_FAT, Tissue.GUT_WALL, Tissue.GUT_FLUID))
    for sign in (-1, 1):
        size = rng.uniform(0.8, 1.15)
        centre = (
            sign * rng.uniform(58, 72),
            canvas.spine_y_mm + rng.uniform(-6, 10),
            rng.uniform(-150, -112) + (12 if sign > 0 else 0),
        )
        fat = rng.uniform(3, 12)
        radii = (27 * size, 26 * size, 54 * size)
        loose = (
            Tissue.INNER_FAT,
            Tissue.LIVER,
            Tissue.SPLEEN,
            Tissue.GUT_WALL,
            Tissue.GUT_FLUID,
            Tissue.GUT_GAS,
            Tissue.STOOL,
        )
        canvas.ball(centre, tuple(r + fat for r in radii), Tissue.INNER_FAT, over=loose, inside_cavity=True)  # type: ignore[arg-type]
        canvas.ball(centre, radii, Tissue.KIDNEY)
        hilum = (centre[0] - sign * 14, centre[1] - 6, centre[2])
        canvas.ball(hilum, (12 * size, 9 * size, 24 * size), Tissue.INNER_FAT)
        canvas.ball(hilum, (6 * size, 5 * size, 12 * size), Tissue.URINE)


def _tube(canvas: Canvas, points: list[Point], radius: float | list[float], tissue: Tissue, **options: object) -> None:
    """Paint balls along a line of points (x, y, z in mm)."""
    for index in range(len(points) - 1):
        a, b = np.array(points[index]), np.array(points[index + 1])
        r0 = radius if isinstance(radius, float) else radius[index]
        r1 = radius if isinstance(radius, float) else radius[index + 1]
        steps = max(2, int(np.linalg.norm(b - a) / max(min(r0, r1) * 0.7, 2)) + 1)
        for t in np.linspace(0, 1, steps):
            c = a + (b - a) * t
            r = r0 + (r1 - r0) * t
            canvas.ball((float(c[0]), float(c[1]), float(c[2])), (r, r, r), tissue, **options)  # type: ignore[arg-type]


def _draw_great_vessels(canvas: Canvas) -> None:
    rng = canvas.rng
    spine = canvas.spine_y_mm - 20
    aorta = rng.uniform(8.5, 13)
    _tube(
        canvas,
        [
            (-10, -30, 95),
            (-6, -15, 150),
            (12, spine - 18, 152),
            (20, spine - 6, 120),
            (17, spine - 6, 0),
            (6, spine - 12, -205),
        ],
        aorta,
        Tissue.AORTA,
    )
    for sign in (-1, 1):
        branch = [
            (4.0, spine - 12, -205.0),
            (sign * 38, spine, -275.0),
            (sign * 72, -35.0, -370.0),
            (sign * 80, -60.0, -420.0),
        ]
        _tube(canvas, branch, aorta * 0.55, Tissue.AORTA)
        _tube(canvas, [(x, y + 13, z) for x, y, z in branch], aorta * 0.6, Tissue.VEIN)
    cava = rng.uniform(7, 13)
    _tube(
        canvas,
        [(-18, spine - 9, -215), (-22, spine - 12, -100), (-24, spine - 22, -25), (-14, spine - 38, 18)],
        cava,
        Tissue.VEIN,
    )
    if rng.random() < 0.5:
        _tube(canvas, [(50, spine, -125), (15, spine - 18, -120), (-15, spine - 10, -118)], 4.5, Tissue.VEIN)


def _draw_liver_vessels(canvas: Canvas) -> None:
    rng = canvas.rng
    liver = canvas.labels == Tissue.LIVER
    if not liver.any():
        return
    zs = canvas.z[liver]
    middle_z = float(np.percentile(zs, rng.uniform(40, 55)))
    spine = canvas.spine_y_mm - 20
    hilum = (rng.uniform(-38, -22), spine - rng.uniform(28, 40), middle_z)
    _tube(
        canvas,
        [(10.0, spine - 32, middle_z - 45), hilum],
        rng.uniform(5, 8),
        Tissue.VEIN,
        over=(Tissue.INNER_FAT, Tissue.PANCREAS),
    )
    over = (Tissue.LIVER,)

    def grow(start: Point, direction: np.ndarray, radius: float, length: float, depth: int) -> None:
        points, here, heading = [start], np.array(start, float), direction / np.linalg.norm(direction)
        for _ in range(3):
            heading = heading + rng.normal(0, 0.22, 3)
            heading /= np.linalg.norm(heading)
            here = here + heading * length / 3
            points.append((float(here[0]), float(here[1]), float(here[2])))
        _tube(canvas, points, [radius * f for f in (1, 0.9, 0.8, 0.7)], Tissue.LIVER_VESSEL, over=over)
        if depth:
            for _ in range(2):
                grow(points[-1], heading + rng.normal(0, 0.6, 3), radius * 0.68, length * 0.8, depth - 1)

    for way in ((-1.0, -0.1, 0.3), (-1, 0.3, -0.5), (0.6, -0.9, 0.1)):
        grow(hilum, np.array(way), rng.uniform(3.5, 6.5), rng.uniform(40, 60), 2)
    exit_point = (-20.0, spine - 28, -28.0)
    for way in ((-1.0, -0.1, -0.35), (-0.45, -0.9, -0.5), (0.7, -0.8, -0.3)):
        grow(exit_point, np.array(way), rng.uniform(3.5, 6), rng.uniform(50, 70), 1)


def _draw_bowel(canvas: Canvas) -> None:
    """Small bowel as random loops, colon along its frame, both as tubes around a line."""
    rng = canvas.rng
    low, high = float(canvas.z.min()), float(canvas.z.max())
    if low > -90 or high < -360:  # no bowel in view
        return
    box = canvas.box((-190, -170, -370), (190, 120, -60), 0)
    x, y, z, inner = canvas.x[box], canvas.y[box], canvas.z[box], canvas.inner[box]
    if x.size == 0:
        return
    room = (inner > 3) & (y < canvas.spine_y_mm - 18) & (z < canvas.floor[box] - 10)
    half = float(np.percentile(np.abs(x[room]), 97)) if room.any() else 120.0
    front = float(y[room].min()) if room.any() else -80.0
    loops: list[Point] = []
    here = np.array([0.0, front * 0.4, -180.0])
    heading = rng.normal(0, 1, 3)
    for _ in range(int(rng.uniform(350, 900))):
        heading = 0.8 * heading + rng.normal(0, 0.5, 3)
        heading /= np.linalg.norm(heading)
        here = here + heading * 9
        limit = np.array([[-0.75 * half, 0.9 * front, -345], [0.75 * half, canvas.spine_y_mm - 30, -125]])
        heading = np.where((here < limit[0]) | (here > limit[1]), -heading, heading)
        here = np.clip(here, *limit)
        loops.append((float(here[0]), float(here[1]), float(here[2])))
    small = _line_distance(canvas, box, loops)
    radius = rng.uniform(9, 15) + 2 * smooth_field(rng, x.shape, canvas.spacing_mm, 40)
    fill = smooth_field(rng, x.shape, canvas.spacing_mm, 45)
    canvas.paint(room & (small < radius), Tissue.GUT_WALL, box)
    canvas.paint(room & (small < radius - 3.5) & (fill > -0.3), Tissue.GUT_FLUID, box)
    canvas.paint(room & (small < radius - 3.5) & (fill > 1.6), Tissue.GUT_GAS, box)
    dip = rng.uniform(-175, -115)
    frame: list[Point] = [
        (-0.8 * half, 25, -320), (-0.85 * half, 25, -170), (-0.8 * half, 0.2 * front, -145),
        (-0.4 * half, 0.8 * front, dip), (0.3 * half, 0.8 * front, dip), (0.85 * half, 0.2 * front, -105),
        (0.88 * half, 30, -110), (0.85 * half, 28, -290), (0.4 * half, 0, -330), (0, 40, -350),
    ]  # fmt: skip
    frame = [(a + rng.normal(0, 8), b + rng.normal(0, 8), c + rng.normal(0, 10)) for a, b, c in frame]
    colon = _line_distance(canvas, box, frame)
    width = rng.uniform(15, 27) + 4 * smooth_field(rng, x.shape, canvas.spacing_mm, 30)
    content = smooth_field(rng, x.shape, canvas.spacing_mm, 35)
    canvas.paint(room & (colon < width), Tissue.GUT_WALL, box)
    canvas.paint(room & (colon < width - 3), Tissue.STOOL, box)
    gas = content - y / 60 > rng.uniform(-0.5, 1.5)
    canvas.paint(room & (colon < width - 3) & gas, Tissue.GUT_GAS, box)


def _line_distance(canvas: Canvas, box: tuple[slice, ...], points: list[Point]) -> Array:
    """Distance in mm of each voxel of ``box`` to a line through ``points``."""
    grid = canvas.x[box].shape
    origin = np.array([float(g[box].flat[0]) for g in (canvas.z, canvas.y, canvas.x)])
    line = np.array(points, float)[:, ::-1]
    dense = np.concatenate([np.linspace(a, b, 12, endpoint=False) for a, b in pairwise(line)])
    index = np.rint((dense - origin) / canvas.spacing_mm).astype(int)
    index = index[np.all((index >= 0) & (index < grid), axis=1)]
    free = np.ones(grid, bool)
    free[tuple(index.T)] = False
    distance: Array = ndimage.distance_transform_edt(free, sampling=canvas.spacing_mm).astype(np.float32)
    return distance
