"""Measure which pictures a model file flags as out of distribution (`ood` above 1).

    python benchmarks/score_novelty.py [MODEL.onnx] [--views N] [--hubble PICTURE]

The model file has to be written by `peculiar calibrate`. The galaxies are those of the test part in ``stamps`` of the
folder of real galaxies, which are not used for choices. Artefacts count if they are visible in the square that the
network sees; see `artefacts.spoil`. PICTURE is a deep field, such as the ``hubble_deep_field.jpg`` that comes with
scikit-image.
"""

import io
import sys
import zlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_images

from artefacts import FIRST, SECOND, THIRD, UNSEEN, spoil
from machine import data_folder, describe, make_parser, record
from peculiar.images.artefacts import measure_artefacts
from peculiar.images.decode import decode_whole
from peculiar.images.framing import Framing, frame_pixels
from peculiar.models.model_file import load_model
from peculiar.models.predict import readable_batches
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import observation, open_source, simulated
from peculiar.sources.split import part_of


def everyday(random):
    """Return squares from two photographs."""
    found = []
    for photograph in load_sample_images().images:
        for _ in range(50):
            size = int(random.integers(80, 427))
            top, left = random.integers(0, 428 - size), random.integers(0, 641 - size)
            found.append(photograph[top : top + size, left : left + size])
    return found


def strange(random):
    """Return pictures without galaxies, by kind."""
    side = 160
    row, column = np.mgrid[:side, :side] - side // 2

    def star():
        width = random.uniform(1.5, 4)
        light = random.uniform(150, 400) * np.exp(-(row**2 + column**2) / 2 / width**2)
        return np.clip(light[..., None] + random.normal(15, 4, (side, side, 3)), 0, 255).astype(np.uint8)

    return {
        "noise": [random.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(100)],
        "sky and noise": [np.clip(random.normal(15, 8, (side, side, 3)), 0, 255).astype(np.uint8) for _ in range(100)],
        "blank": [np.full((side, side, 3), random.integers(0, 256, 3), dtype=np.uint8) for _ in range(100)],
        "everyday photographs": everyday(random),
        "stars": [star() for _ in range(100)],
    }


def jpeg(picture):
    """Return a picture encoded as by the server of a survey."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return decode_whole(buffer.getvalue())


def telescopes():
    """Return simulated galaxies as observed by SDSS, and by a sharper and deeper space telescope."""

    def galaxies():
        return [
            jpeg(
                simulated.simulate_galaxy(
                    FOUR_CLASS.answers[number % 4], np.random.default_rng([222, number]), size=160
                )[0]
            )
            for number in range(100)
        ]

    def sharp(light, fwhm, beta):
        return observation.blur(light, max(0.1 / 1.3 * fwhm, 1.0), beta)

    found = {"simulated, SDSS": galaxies()}
    with patch.object(simulated, "blur", sharp), patch.object(observation, "ELECTRONS", observation.ELECTRONS * 50):
        found["simulated, in space"] = galaxies()
    return found


def deep_field(path):
    """Cut the larger galaxies from a deep field, in squares four times as wide as the galaxy."""
    picture = decode_whole(path.read_bytes())
    light = ndimage.gaussian_filter(picture.mean(axis=2), 1)
    sky = np.median(light)
    regions, _ = ndimage.label(light > sky + 6 * 1.4826 * np.median(np.abs(light - sky)))
    found = []
    for rows, columns in ndimage.find_objects(regions):
        wide = max(rows.stop - rows.start, columns.stop - columns.start)
        top, left = (rows.start + rows.stop) // 2 - 2 * wide, (columns.start + columns.stop) // 2 - 2 * wide
        if (
            wide >= 16
            and min(top, left) >= 0
            and max(top + 4 * wide - len(picture), left + 4 * wide - picture.shape[1]) <= 0
        ):
            found.append(picture[top : top + 4 * wide, left : left + 4 * wide])
    return found


def main():
    parser = make_parser(__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--views", type=int)
    parser.add_argument("--hubble", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    if model.card.familiar is None:
        sys.exit("the model file has no measure of novelty; `peculiar calibrate` adds one")
    machine = describe("numpy", "onnxruntime", "scikit-learn")

    def told(framed):
        parts = [framed[start : start + 64] for start in range(0, len(framed), 64)]
        embedding = np.concatenate([model.classify(part, views=options.views, framed=True).embedding for part in parts])
        return model.card.familiar.ood(embedding, measure_artefacts(framed))

    def share(pictures):
        return (
            100
            * (told(np.stack([frame_pixels(np.ascontiguousarray(one), model.framing) for one in pictures])) > 1).mean()
        )

    sizes = {name: model.card.training["recipe"][name] for name in ("validation_size", "test_size")}
    source = open_source(data_folder() / "stamps")
    surveys = dict(zip(source.column("id"), source.column("survey"), strict=True))
    unlike, of = [], []

    def tested(framing):
        return (galaxy for galaxy in source.galaxies(framing) if part_of(galaxy.id, **sizes) == "test")

    for batch, _, pictures in readable_batches(tested(model.framing), 64):
        unlike.append(told(pictures) > 1)
        of += [surveys[galaxy.id] for galaxy in batch if galaxy.picture is not None]
    unlike, of = np.concatenate(unlike), np.array(of)
    figures = [("galaxies of the test part", 100 * unlike.mean(), "%")]
    figures += [(f"galaxies of the test part, {name}", 100 * unlike[of == name].mean(), "%") for name in np.unique(of)]
    random = np.random.default_rng(222)
    others = {**strange(random), **telescopes()}
    if options.hubble:
        others["galaxies of a deep field"] = deep_field(options.hubble)
    figures += [(f"{kind} ({len(pictures)})", share(pictures), "%") for kind, pictures in others.items()]
    whole = []
    for galaxy in tested(Framing(160)):
        whole.append(galaxy.picture)
        if len(whole) == 100:
            break
    for name, kinds in {"first": FIRST, "second": SECOND, "third": THIRD, "unseen": UNSEEN}.items():
        shares = []
        for kind in kinds:
            framed, seen = spoil(whole, kind, model.framing, np.random.default_rng(zlib.crc32(kind.encode())))
            found = told(framed) > 1
            shares.append(100 * found[seen].mean())
            figures.append((f"artefact, {name}: {kind}, seen in {seen.mean():.0%}", shares[-1], "%"))
            figures.append((f"artefact, {name}: {kind}, seen or not", 100 * found.mean(), "%"))
        figures.append((f"artefacts, {name}: mean of the kinds", float(np.mean(shares)), "%"))
    record(machine, *[(f"flagged as unlike: {what}", value, unit) for what, value, unit in figures])


if __name__ == "__main__":
    main()
