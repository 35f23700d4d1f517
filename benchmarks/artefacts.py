"""What detectors and their readout do to a picture, simulated: three sets of kinds.

The first measure of flaws was designed on `FIRST` and tried on `SECOND`, which had been written down before; the others
were designed on both. `UNSEEN` was written down before any was tried on it, and is only tested. Strengths are such that
a person sees at a glance that something is wrong.

Each kind is a function that changes a whole picture, uint8 (height, width, 3), given a generator; for half of the
pictures rows and columns are exchanged.
"""

import numpy as np
from PIL import Image

from peculiar.image import _galaxy_square, frame_pixels


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
    """The picture ends somewhere near the middle, at the rim of the chip, and is filled with one colour."""
    picture[int(len(picture) * random.uniform(0.35, 0.65)) :] = random.integers(0, 80)


def _amplifier_step(picture, random):
    """One half or quarter was read by an amplifier with another zero and another gain."""
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
    """A satellite's, as wide as a star and near the middle."""
    row, column = _grid(picture)
    angle = random.uniform(0, np.pi)
    beside = column * np.sin(angle) + row * np.cos(angle) - random.uniform(-20, 20)
    light = random.uniform(60, 150) * np.exp(-(beside**2) / 2 / random.uniform(1, 2.5) ** 2)
    picture[:] = np.clip(picture + light[..., None], 0, 255)


def _saturated_star(picture, random):
    """A star that runs over: its charge spills along the columns."""
    row, column = _grid(picture)
    row, column = row - int(random.integers(-30, 31)), column - int(random.integers(-30, 31))
    over = (np.hypot(row, column) < random.uniform(4, 10)) | (
        (np.abs(column) <= random.integers(1, 4)) & (np.abs(row) < random.integers(25, 90))
    )
    light = 400 * np.exp(-np.hypot(row, column) / random.uniform(4, 9))
    picture[:] = np.clip(picture + light[..., None], 0, 255)
    picture[over] = 255


def _blocks_lost(picture, random):
    """Packets that never came: squares of one colour, or of another place."""
    side = len(picture)
    for _ in range(int(random.integers(2, 6))):
        size = int(random.integers(16, 49))
        top, left, other, another = random.integers(0, side - size, 4)
        there = picture[other : other + size, another : another + size].copy()
        picture[top : top + size, left : left + size] = there if random.random() < 0.3 else random.choice([0, 128])


def _lines_shifted(picture, random):
    """The readout lost step: each line begins elsewhere, or every other one."""
    offset = int(random.integers(4, 11))
    for row in range(len(picture)):
        shift = (row % 2) * offset if offset % 2 else int(random.integers(-offset, offset + 1))
        picture[row] = np.roll(picture[row], shift, axis=0)


def _colours_apart(picture, random):
    colour, step = int(random.integers(0, 3)), int(random.integers(6, 15))
    picture[..., colour] = np.roll(picture[..., colour], step, axis=0)


def _bits_lost(picture, random):
    """The converter gives but two or three of eight bits."""
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
    """The chip's traps let charge go late: every light has a tail towards one side."""
    length, kept = random.uniform(6, 20), random.uniform(0.3, 0.6)
    light, tail = picture.astype(float), np.zeros_like(picture[0], dtype=float)
    for row in range(len(picture)):
        late = light[row] * (1 - kept)
        tail = tail * (1 - 1 / length) + late / length
        picture[row] = np.clip(light[row] - late + 2 * tail, 0, 255)


def _smear(picture, random):
    """Without a shutter, what is bright draws a line along its whole column while the chip is read."""
    light = picture.mean(axis=0, keepdims=True) * random.uniform(1, 2.5)
    picture[:] = np.clip(picture + light, 0, 255)


def _values_wrapped(picture, random):
    """More light than the counter holds: it begins again from 0."""
    picture[:] = (picture * random.uniform(1.5, 3)).astype(int) % 256


def _frames_mixed(picture, random):
    """Groups of lines come from another exposure, here the picture upside down."""
    lines = (np.arange(len(picture)) // int(random.integers(1, 7))) % 2 == 1
    picture[lines] = picture[::-1][lines].copy()


def _sky_cut_off(picture, random):
    """Too much was taken off for the sky."""
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
    """Each pixel saw through one of a mosaic of filters, and nobody filled in the others."""
    seen = np.zeros_like(picture)
    for top, left, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        seen[top::2, left::2, colour] = picture[top::2, left::2, colour]
    picture[:] = np.clip(seen * 2.0, 0, 255)


def _quarters_swapped(picture, random):
    """The four amplifiers were put together in the wrong order."""
    half = len(picture) // 2
    quarters = [picture[top : top + half, left : left + half].copy() for top in (0, half) for left in (0, half)]
    order = random.permutation(4)
    while (order == np.arange(4)).any():
        order = random.permutation(4)
    for place, number in enumerate(order):
        top, left = half * (place // 2), half * (place % 2)
        picture[top : top + half, left : left + half] = quarters[number]


def _half_shifted(picture, random):
    """From some line on, all begin elsewhere."""
    place = len(picture) // 2 + int(random.integers(-15, 16))
    picture[place:] = np.roll(picture[place:], int(random.integers(8, 60)), axis=1)


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

UNSEEN = {
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


def spoil(pictures, kind, framing, random):
    """Return pictures with an artefact, framed, and whether it can be seen there.

    It can where it changes one in a hundred of the framed pixels by more than 10 of 255: a galaxy's square is a part
    of its picture, and what lies outside cannot be flagged.
    """
    framed, seen = [], []
    for picture in pictures:
        spoiled = np.array(picture)
        ({**FIRST, **SECOND, **UNSEEN})[kind](spoiled.swapaxes(0, 1) if random.random() < 0.5 else spoiled, random)
        changed = np.abs(spoiled.astype(int) - picture).max(axis=2) > 10
        left, upper, right, lower = (round(edge) for edge in _galaxy_square(Image.fromarray(spoiled)))
        seen.append(changed[upper:lower, left:right].mean() > 0.01)
        framed.append(frame_pixels(spoiled, framing))
    return np.stack(framed), np.array(seen)
