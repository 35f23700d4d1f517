"""Simulated artefacts of detectors, readout and data reduction, in four sets of kinds.

The first measure of artefacts was designed on `FIRST` and tested on `SECOND`, which had been defined before. The next
measures were designed on both and tested on `THIRD`, and the present ones were designed on all three. `UNSEEN` was
defined before any measure was tried on it, and serves only as a test. The artefacts are strong enough to be obvious by
eye.

Each kind is a function of a whole picture, uint8 (height, width, 3), and a random generator; rows and columns are
exchanged for half of the pictures.
"""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from peculiar.images.framing import _galaxy_square, frame_pixels


def _bleeding_column(picture, random):
    place, width = int(random.integers(10, len(picture) - 30)), int(random.integers(4, 20))
    picture[:, place : place + width] = 255


def _rows_lost(picture, random):
    top = int(random.integers(0, len(picture) // 3))
    picture[top : top + int(random.integers(len(picture) // 4, len(picture) // 2))] = 0


def _rows_stuck(picture, random):
    half = len(picture) // 2
    picture[half:] = picture[int(random.integers(0, half))]


def _trail(picture, random):
    row, column = _grid(picture)
    angle = random.uniform(0, np.pi)
    beside = np.abs(column * np.sin(angle) + row * np.cos(angle)) < random.uniform(2, 6)
    picture[beside] = random.integers(150, 256, 3)


def _banding(picture, random):
    row, _ = _grid(picture)
    bands = ((row // int(random.integers(2, 9))) % 2)[..., None] * random.integers(30, 90)
    picture[:] = np.clip(picture + bands, 0, 255)


def _part_missing(picture, random):
    """End the picture near its middle, as at the edge of a chip, and fill the rest with one colour."""
    picture[int(len(picture) * random.uniform(0.35, 0.65)) :] = random.integers(0, 80)


def _amplifier_step(picture, random):
    """Change the bias and gain of one half or quarter, as of a second amplifier."""
    place = len(picture) // 2 + int(random.integers(-10, 11))
    part = picture[place:] if random.random() < 0.5 else picture[place:, : picture.shape[1] // 2]
    part[:] = np.clip(part * random.uniform(0.8, 1.2) + random.uniform(15, 50) * random.choice([-1, 1]), 0, 255)


def _hot_pixels(picture, random):
    hot = random.random(picture.shape[:2]) < random.uniform(0.005, 0.03)
    picture[hot] = np.where(random.random(3) < 0.6, 255, picture[hot])


def _hot_columns(picture, random):
    for place in random.integers(0, picture.shape[1], int(random.integers(2, 7))):
        picture[:, place] = np.clip(picture[:, place] + random.uniform(80, 255), 0, 255)


def _cosmic_rays(picture, random):
    for _ in range(int(random.integers(6, 20))):
        angle, length = random.uniform(0, np.pi), random.uniform(4, 30)
        steps = np.linspace(0, length, 2 * int(length) + 1)
        row = np.rint(random.uniform(0, len(picture)) + steps * np.sin(angle)).astype(int)
        column = np.rint(random.uniform(0, picture.shape[1]) + steps * np.cos(angle)).astype(int)
        inside = (row >= 0) & (column >= 0) & (row < len(picture)) & (column < picture.shape[1])
        picture[row[inside], column[inside]] = 255


def _faint_trail(picture, random):
    """Draw a satellite trail, as wide as a star and near the middle."""
    row, column = _grid(picture)
    angle = random.uniform(0, np.pi)
    beside = column * np.sin(angle) + row * np.cos(angle) - random.uniform(-20, 20)
    light = random.uniform(60, 150) * np.exp(-(beside**2) / 2 / random.uniform(1, 2.5) ** 2)
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _saturated_star(picture, random):
    """Draw a saturated star whose charge bleeds along the columns."""
    row, column = _grid(picture)
    row, column = row - int(random.integers(-30, 31)), column - int(random.integers(-30, 31))
    over = (np.hypot(row, column) < random.uniform(4, 10)) | (
        (np.abs(column) <= random.integers(1, 4)) & (np.abs(row) < random.integers(25, 90))
    )
    light = 400 * np.exp(-np.hypot(row, column) / random.uniform(4, 9))
    picture[:] = np.clip(picture + light[..., None], 0, 255)
    picture[over] = 255


def _blocks_lost(picture, random):
    """Replace blocks, as of lost packets, by one colour or by another part of the picture."""
    side = len(picture)
    for _ in range(int(random.integers(2, 6))):
        size = int(random.integers(16, 49))
        top, left, other, another = random.integers(0, side - size, 4)
        there = picture[other : other + size, another : another + size].copy()
        picture[top : top + size, left : left + size] = there if random.random() < 0.3 else random.choice([0, 128])


def _lines_shifted(picture, random):
    """Shift all lines, or every other one, as by a synchronisation error of the readout."""
    offset = int(random.integers(4, 11))
    for row in range(len(picture)):
        shift = (row % 2) * offset if offset % 2 else int(random.integers(-offset, offset + 1))
        picture[row] = np.roll(picture[row], shift, axis=0)


def _colours_apart(picture, random):
    colour, step = int(random.integers(0, 3)), int(random.integers(6, 15))
    picture[..., colour] = np.roll(picture[..., colour], step, axis=0)


def _bits_lost(picture, random):
    """Keep only two or three of the eight bits of the converter."""
    picture &= np.uint8(random.choice([0b11000000, 0b11100000]))


def _fringes(picture, random):
    row, column = _grid(picture)
    angle, wave = random.uniform(0, np.pi), random.uniform(6, 20)
    light = random.uniform(15, 45) * np.sin(2 * np.pi / wave * (column * np.sin(angle) + row * np.cos(angle)))
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _dead_columns(picture, random):
    for place in random.integers(0, picture.shape[1], int(random.integers(3, 9))):
        picture[:, place : place + int(random.integers(1, 4))] = 0


def _charge_trailing(picture, random):
    """Add tails towards one side, as from charge traps."""
    length, kept = random.uniform(6, 20), random.uniform(0.3, 0.6)
    light, tail = picture.astype(float), np.zeros_like(picture[0], dtype=float)
    for row in range(len(picture)):
        late = light[row] * (1 - kept)
        tail = tail * (1 - 1 / length) + late / length
        picture[row] = np.clip(light[row] - late + 2 * tail, 0, 255)


def _smear(picture, random):
    """Draw lines along the columns of bright sources, as from readout without a shutter."""
    light = picture.mean(axis=0, keepdims=True) * random.uniform(1, 2.5)
    picture[:] = np.clip(picture + light, 0, 255)


def _values_wrapped(picture, random):
    """Wrap bright values around to 0, as in an overflowing counter."""
    picture[:] = (picture * random.uniform(1.5, 3)).astype(int) % 256


def _frames_mixed(picture, random):
    """Replace groups of lines by those of another exposure, here the picture upside down."""
    lines = (np.arange(len(picture)) // int(random.integers(1, 7))) % 2 == 1
    picture[lines] = picture[::-1][lines].copy()


def _sky_cut_off(picture, random):
    """Subtract too much sky."""
    picture[:] = np.clip(picture - random.uniform(40, 80), 0, 255)


def _noisy_rows(picture, random):
    top, count = int(random.integers(0, len(picture) // 2)), int(random.integers(len(picture) // 10, len(picture) // 2))
    part = picture[top : top + count]
    part[:] = np.clip(part + random.normal(0, random.uniform(30, 80), part.shape[:2])[..., None], 0, 255)


def _amplifier_glow(picture, random):
    row, column = np.indices(picture.shape[:2])
    light = random.uniform(150, 300) * np.exp(-np.hypot(row, column) / random.uniform(40, 90))
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _colour_filter(picture, random):
    """Keep one colour per pixel, as from a Bayer filter without interpolation."""
    seen = np.zeros_like(picture)
    for top, left, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        seen[top::2, left::2, colour] = picture[top::2, left::2, colour]
    picture[:] = np.clip(seen * 2.0, 0, 255)


def _quarters_swapped(picture, random):
    """Exchange the quarters, as of four amplifiers in the wrong order."""
    half = len(picture) // 2
    quarters = [picture[top : top + half, left : left + half].copy() for top in (0, half) for left in (0, half)]
    order = random.permutation(4)
    while (order == np.arange(4)).any():
        order = random.permutation(4)
    for place, number in enumerate(order):
        top, left = half * (place // 2), half * (place % 2)
        picture[top : top + half, left : left + half] = quarters[number]


def _half_shifted(picture, random):
    """Shift all lines from a certain one on."""
    place = len(picture) // 2 + int(random.integers(-15, 16))
    picture[place:] = np.roll(picture[place:], int(random.integers(8, 60)), axis=1)


def _cosmic_ray_bundle(picture, random):
    """Draw a particle shower: short parallel tracks in one place."""
    angle = random.uniform(0, np.pi)
    middle = random.normal(len(picture) / 2, 20, 2)
    for _ in range(int(random.integers(20, 60))):
        length, wide = random.uniform(3, 15), random.normal(0, 0.15)
        steps = np.linspace(0, length, 2 * int(length) + 1)
        at = random.normal(middle, 15)
        row = np.rint(at[0] + steps * np.sin(angle + wide)).astype(int)
        column = np.rint(at[1] + steps * np.cos(angle + wide)).astype(int)
        inside = (row >= 0) & (column >= 0) & (row < len(picture)) & (column < picture.shape[1])
        picture[row[inside], column[inside]] = random.integers(120, 256)


def _cosmic_rays_in_one_band(picture, random):
    colour = picture[..., int(random.integers(0, 3))]
    _cosmic_rays(colour, random)


def _crosstalk(picture, random):
    """Add the crosstalk of a saturated star in another amplifier: a flat level with a sharp edge."""
    row, column = _grid(picture)
    row, column = row - random.uniform(-45, 45), column - random.uniform(-45, 45)
    over = np.hypot(row, column) < random.uniform(8, 18)
    over |= (np.abs(column) < random.uniform(1, 4)) & (np.abs(row) < random.uniform(20, 70))
    picture[:] = np.clip(picture + random.uniform(40, 110) * random.choice([-1, 1]) * over[..., None], 0, 255)


def _pupil_ghost(picture, random):
    """Add the ghost of a bright star reflected between filter and window: the defocused pupil with its spider."""
    row, column = _grid(picture)
    row, column = row - random.uniform(-40, 40), column - random.uniform(-40, 40)
    away, outer = np.hypot(row, column), random.uniform(25, 60)
    lit = (away < outer) & (away > outer * random.uniform(0.3, 0.5))
    lit &= np.minimum(np.abs(row), np.abs(column)) > 1.5
    light = random.uniform(25, 70) * ndimage.gaussian_filter(lit.astype(float), 1.2)
    picture[:] = np.clip(picture + light[..., None] * random.uniform(0.5, 1, 3), 0, 255)


def _persistence(picture, random):
    """Add persistence of saturated stars from an earlier exposure, with the track of the moving telescope."""
    glow = np.zeros(picture.shape[:2])
    row, column = _grid(picture)
    move = random.uniform(-60, 60, 2)
    for _ in range(int(random.integers(2, 6))):
        at, wide = random.uniform(-60, 60, 2), random.uniform(3, 8)
        for step in np.linspace(0, 1, 60):
            share = 1.0 if step == 0 else 0.25
            spot = np.hypot(row - at[0] - step * move[0], column - at[1] - step * move[1]) < wide * (
                1 - 0.6 * (step > 0)
            )
            glow = np.maximum(glow, share * spot)
    light = random.uniform(70, 160) * ndimage.gaussian_filter(glow, 1)
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _dust(picture, random):
    """Add dark or bright rings, as from dust that is missing in the flat field, or only there."""
    row, column = _grid(picture)
    for _ in range(int(random.integers(1, 5))):
        away = np.hypot(row - random.uniform(-50, 50), column - random.uniform(-50, 50))
        outer = random.uniform(10, 25)
        ring = ndimage.gaussian_filter(((away < outer) & (away > outer * 0.45)).astype(float), 1)
        change = random.uniform(0.25, 0.5) * random.choice([-1, 1]) * ring
        picture[:] = np.clip((picture + 60.0) * (1 + change[..., None]) - 60, 0, 255)


def _vignetting(picture, random):
    """Darken the picture towards one side, as by vignetting that is not in the flat field."""
    row, column = _grid(picture)
    away = np.hypot(row - random.choice([-1, 1]) * random.uniform(40, 90), column - random.uniform(-60, 60)) / len(
        picture
    )
    sky = random.uniform(70, 130)
    picture[:] = np.clip((picture + sky) / (1 + random.uniform(1, 2) * away[..., None] ** 2) ** 2 - sky / 4, 0, 255)


def _overscan(picture, random):
    """Keep the overscan pixels at the end of each row."""
    wide, level = int(random.integers(25, 55)), random.uniform(20, 120)
    part = picture[:, -wide:]
    part[:] = np.clip(random.normal(level, random.uniform(1, 5), part.shape[:2])[..., None], 0, 255)


def _sky_bowl(picture, random):
    """Subtract a sky measured too close to the galaxy: a dark bowl around it, and less of the galaxy."""
    sky = ndimage.uniform_filter(picture.astype(float), (len(picture) // 5, picture.shape[1] // 5, 0))
    level = random.uniform(20, 40)
    picture[:] = np.clip(picture + level - random.uniform(0.9, 1.4) * sky, 0, 255)


def _coadd_seam(picture, random):
    """Add the seam of a coadd with fewer exposures on one side: noisier, blurrier, at another level."""
    row, column = _grid(picture)
    angle = random.uniform(0, np.pi)
    beyond = column * np.sin(angle) + row * np.cos(angle) > random.uniform(-25, 25)
    other = ndimage.gaussian_filter(picture.astype(float), (2.5, 2.5, 0))
    other += random.normal(0, random.uniform(10, 25), picture.shape) + random.uniform(8, 25)
    picture[beyond] = np.clip(other, 0, 255)[beyond]


def _moving_object(picture, random):
    """Draw an asteroid that moves between the exposures of the bands: a short streak in each band, side by side."""
    row, column = _grid(picture)
    angle, length = random.uniform(0, np.pi), random.uniform(2, 8)
    step, at = random.uniform(6, 14), random.uniform(-25, 25, 2)
    for colour in range(3):
        down = row - at[0] - (colour - 1) * step * np.sin(angle)
        right = column - at[1] - (colour - 1) * step * np.cos(angle)
        along, beside = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
        away = np.hypot(np.maximum(np.abs(along) - length / 2, 0), beside)
        light = random.uniform(150, 300) * np.exp(-(away**2) / 2 / random.uniform(1.5, 3) ** 2)
        picture[..., colour] = np.clip(picture[..., colour] + light, 0, 255)


def _band_rows_lost(picture, random):
    """Remove some rows of one band."""
    _rows_lost(picture[..., int(random.integers(0, 3))], random)


def _spikes(picture, random):
    """Add the halo and diffraction spikes of a very bright star on the picture or beside it."""
    row, column = _grid(picture)
    row, column = row - random.uniform(-70, 70), column - random.uniform(-70, 70)
    angle = random.uniform(0, np.pi / 2)
    along, beside = column * np.cos(angle) + row * np.sin(angle), row * np.cos(angle) - column * np.sin(angle)
    wide, length = random.uniform(1, 2), random.uniform(25, 60)
    light = 60 * np.exp(-np.hypot(row, column) / random.uniform(8, 20))
    for far, near in ((along, beside), (beside, along)):
        light += random.uniform(100, 250) * np.exp(-np.abs(far) / length - (near**2) / 2 / wide**2)
    light[np.hypot(row, column) < random.uniform(5, 9)] = 255
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _rows_interpolated(picture, random):
    """Interpolate lost rows linearly between their neighbours."""
    for _ in range(int(random.integers(1, 4))):
        count = int(random.integers(10, 30))
        top = int(random.integers(20, len(picture) - 20 - count))
        share = np.linspace(0, 1, count)[:, None, None]
        picture[top : top + count] = (1 - share) * picture[top - 1] + share * picture[top + count]


def _moire(picture, random):
    """Add a moiré pattern, as from resampling with weights that do not sum to one."""
    row, column = _grid(picture)
    angle, wave = random.uniform(0, np.pi / 2), random.uniform(5, 16)
    across, along = column * np.cos(angle) + row * np.sin(angle), row * np.cos(angle) - column * np.sin(angle)
    beat = np.cos(2 * np.pi * across / wave) * np.cos(2 * np.pi * along / wave)
    picture[:] = np.clip((picture + 40.0) * (1 + random.uniform(0.2, 0.5) * beat[..., None]) - 40, 0, 255)


def _compressed(picture, random):
    """Compress strongly, until blocks are visible."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(random.integers(2, 9)))
    picture[:] = np.asarray(Image.open(buffer))


def _tree_rings(picture, random):
    """Add tree rings of the silicon around a point beside the picture."""
    row, column = _grid(picture)
    away = np.hypot(row - random.uniform(60, 150), column - random.uniform(60, 150))
    wave = random.uniform(8, 25)
    rings = np.sin(2 * np.pi * (away / wave + 0.5 * np.sin(away / random.uniform(15, 40))))
    picture[:] = np.clip(picture + random.uniform(15, 40) * rings[..., None], 0, 255)


def _pickup(picture, random):
    """Add electronic pickup noise during the readout: a fine, slanting, drifting pattern."""
    period = random.uniform(2.3, 7)
    place = np.arange(picture.shape[0] * picture.shape[1]).reshape(picture.shape[:2])
    drift = np.cumsum(random.normal(0, 0.3, picture.shape[0]))[:, None]
    picture[:] = np.clip(
        picture + random.uniform(15, 45) * np.sin(2 * np.pi * place / period + drift)[..., None], 0, 255
    )


def _core_removed(picture, random):
    """Replace the brightest pixels, also in the centre of the galaxy, as by an over-eager removal of cosmic rays."""
    light = ndimage.gaussian_filter(picture.astype(float).sum(axis=2), 0.7)
    picture[light > np.quantile(light, 1 - random.uniform(0.01, 0.04))] = 0


def _binned(picture, random):
    """Bin the pixels, and enlarge the picture to its original size."""
    side = int(random.integers(4, 9))
    rows, columns = (np.arange(length) // side * side for length in picture.shape[:2])
    sums = ndimage.uniform_filter(picture.astype(float), (side, side, 0), origin=(-(side // 2), -(side // 2), 0))
    picture[:] = np.clip(sums[rows][:, columns], 0, 255)


def _grid(picture):
    height, width = picture.shape[:2]
    row, column = np.mgrid[:height, :width]
    return row - height // 2, column - width // 2


FIRST = {
    "bleeding column": _bleeding_column,
    "rows lost": _rows_lost,
    "rows stuck": _rows_stuck,
    "trail": _trail,
    "banding": _banding,
}

SECOND = {
    "part missing": _part_missing,
    "amplifier step": _amplifier_step,
    "hot pixels": _hot_pixels,
    "hot columns": _hot_columns,
    "cosmic rays": _cosmic_rays,
    "faint trail": _faint_trail,
    "saturated star": _saturated_star,
    "blocks lost": _blocks_lost,
    "lines shifted": _lines_shifted,
    "colours apart": _colours_apart,
    "bits lost": _bits_lost,
    "fringes": _fringes,
}

THIRD = {
    "dead columns": _dead_columns,
    "charge trailing": _charge_trailing,
    "smear": _smear,
    "values wrapped": _values_wrapped,
    "frames mixed": _frames_mixed,
    "sky cut off": _sky_cut_off,
    "noisy rows": _noisy_rows,
    "amplifier glow": _amplifier_glow,
    "colour filter": _colour_filter,
    "quarters swapped": _quarters_swapped,
    "half shifted": _half_shifted,
}

UNSEEN = {
    "cosmic-ray bundle": _cosmic_ray_bundle,
    "cosmic rays in one band": _cosmic_rays_in_one_band,
    "crosstalk": _crosstalk,
    "pupil ghost": _pupil_ghost,
    "persistence": _persistence,
    "dust": _dust,
    "vignetting": _vignetting,
    "overscan": _overscan,
    "sky bowl": _sky_bowl,
    "co-add seam": _coadd_seam,
    "moving object": _moving_object,
    "band's rows lost": _band_rows_lost,
    "spikes": _spikes,
    "rows interpolated": _rows_interpolated,
    "moire": _moire,
    "compressed": _compressed,
    "tree rings": _tree_rings,
    "pickup": _pickup,
    "core removed": _core_removed,
    "binned": _binned,
}


def spoil(pictures, kind, framing, random):
    """Return framed pictures with an artefact, and whether it is visible in each.

    It can where it changes one in a hundred of the framed pixels by more than 10 of 255: a galaxy's square is a part
    of its picture, and what lies outside cannot be flagged.
    """
    framed, seen = [], []
    for picture in pictures:
        spoiled = np.array(picture)
        ({**FIRST, **SECOND, **THIRD, **UNSEEN})[kind](
            spoiled.swapaxes(0, 1) if random.random() < 0.5 else spoiled, random
        )
        changed = np.abs(spoiled.astype(int) - picture).max(axis=2) > 10
        left, upper, right, lower = (round(edge) for edge in _galaxy_square(Image.fromarray(spoiled)))
        seen.append(changed[upper:lower, left:right].mean() > 0.01)
        framed.append(frame_pixels(spoiled, framing))
    return np.stack(framed), np.array(seen)
