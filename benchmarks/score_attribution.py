"""Measure how hiding the region outlined by `peculiar explain` changes the answer, outside the test part.

    python benchmarks/score_attribution.py [--count 49] [--part validation] [--rise]

The galaxies are of seven classes, and the model that ships classifies them correctly. For each, places are ranked by
the map, by the distance from the centre, by brightness, by smooth noise, and by the map of another galaxy of the same
class; the first tenth is hidden at once. "Surroundings" fills hidden pixels as for the map; "sky" fills them with the
median of the rim, which was not used for the map. Deletion and insertion are the areas of Petsiuk et al. (2018, BMVC,
arXiv:1806.07421, section 4.3): mean probability while more and more is hidden (lower is better), or shown (higher).

`--rise` adds their own method (eqs. 5 and 6) with as many pictures through the network.
"""

import time
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from machine import data_folder, describe, make_parser, record
from peculiar.images.framing import Framing, frame_pixels
from peculiar.models.attribution import PLACES, SHARE, attribute, hide
from peculiar.models.model_file import OneQuestion, load_model
from peculiar.sources import open_source
from peculiar.sources.split import part_of

WANTED = {"four_class": ("Ringed", "Merger", "Other"), "clean5": ("spiral", "edge_on", "cigar", "round")}
STEPS = np.linspace(0, 1, 9)


def galaxies(model, part, count):
    """Yield question, label and framed picture of `count` galaxies, equally many of each class."""
    recipe = model.card.training["recipe"]
    each = count // sum(map(len, WANTED.values()))
    for name, answers in WANTED.items():
        left = dict.fromkeys(answers, each)
        asked = model.asking(name, views=1)
        source = open_source(data_folder() / "stamps", label=name)
        for row in source.rows():
            sizes = {key: recipe[key] for key in ("validation_size", "test_size")}
            if not left.get(row.label) or part_of(row.id, **sizes) != part:
                continue
            picture = frame_pixels(row.pixels(), model.framing)
            chances = asked.probabilities(picture[None], framed=True)[0]
            if asked.question.answers[chances.argmax()] == row.label:
                left[row.label] -= 1
                yield asked, row.label, picture
            if not any(left.values()):
                break


@dataclass
class AsItIs:
    """Wrapper of a model that classifies framed pictures."""

    asked: OneQuestion

    @property
    def question(self):
        return self.asked.question

    @property
    def framing(self):
        return Framing(self.asked.framing.size)

    def probabilities(self, pictures, *, framed=False):
        return self.asked.probabilities(pictures, framed=True)


def behind_sky(picture, masks):
    rim = len(picture) // 10
    inside = np.zeros(picture.shape[:2], bool)
    inside[rim:-rim, rim:-rim] = True
    sky = np.median(picture[~inside], axis=0)
    shown = picture + masks[..., None] * (sky - picture)
    return np.rint(shown).astype(np.uint8)


def log_odds(chances, number):
    others = np.delete(chances.astype(float), number, axis=1).sum(axis=1)
    return np.log(np.maximum(chances[:, number], 1e-12) / np.maximum(others, 1e-12))


def first(order, share):
    """Return a mask of the first pixels, with slightly softened edges."""
    ranks = np.argsort(np.argsort(-order, axis=None)).reshape(order.shape)
    return ndimage.gaussian_filter((ranks < share * order.size).astype(np.float32), 1)


def rise(asked, picture, number, count, seed, cells=8, kept=0.5):
    """Compute a RISE map (Petsiuk et al. 2018, eqs. 5 and 6): the mean of random masks, weighted by their scores."""
    rng, side = np.random.default_rng(seed), len(picture)
    step = -(-side // cells)
    total = np.zeros((side, side))
    for start in range(0, count, 32):
        some = min(32, count - start)
        coarse = (rng.random((some, cells + 1, cells + 1)) < kept).astype(np.float32)
        large = ndimage.zoom(coarse, (1, step, step), order=1, mode="nearest", grid_mode=True)
        at = rng.integers(0, step, (some, 2))
        masks = np.stack([one[y : y + side, x : x + side] for one, (y, x) in zip(large, at, strict=True)])
        scores = asked.probabilities(hide(picture, 1 - masks), framed=True)[:, number]
        total += np.einsum("n,nij->ij", scores, masks)
    return total / (kept * count)


def interval(values):
    rng = np.random.default_rng(222)
    means = np.mean(rng.choice(values, (2000, len(values))), axis=1)
    return np.quantile(means, [0.025, 0.975])


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--count", type=int, default=49)
    parser.add_argument("--part", default="validation", choices=("training", "validation"))
    parser.add_argument("--rise", action="store_true")
    options = parser.parse_args()
    machine = describe("onnxruntime", "numpy")
    model = load_model()
    side = model.framing.size
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    random = np.random.default_rng(222)
    sample = list(galaxies(model, options.part, options.count))
    seconds, maps, steady = [], [], {"occlusion": [], "RISE": []}
    for asked, label, picture in sample:
        framed = AsItIs(asked)
        begun = time.process_time()
        maps.append(attribute(framed, picture, label).map)
        seconds.append(time.process_time() - begun)
        mirrored = attribute(framed, np.ascontiguousarray(picture[:, ::-1]), label).map[:, ::-1]
        steady["occlusion"].append(np.corrcoef(maps[-1].ravel(), mirrored.ravel())[0, 1])
    falls, after, changed, deletion, insertion, before = {}, {}, {}, {}, {}, []
    for place, (asked, label, picture) in enumerate(sample):
        number = asked.question.answers.index(label)
        others = [at for at, other in enumerate(sample) if other[1] == label and at != place]
        orders = {
            "map": maps[place],
            "middle": -np.hypot(rows, columns),
            "brightness": ndimage.gaussian_filter(picture.mean(axis=2), 2),
            "noise": ndimage.gaussian_filter(random.standard_normal((side, side)), side / 20),
            "another's map": maps[others[place % len(others)]],
        }
        if options.rise:
            orders["RISE"] = rise(asked, picture, number, PLACES**2, seed=1)
            mirrored = rise(asked, np.ascontiguousarray(picture[:, ::-1]), number, PLACES**2, seed=2)[:, ::-1]
            steady["RISE"].append(np.corrcoef(orders["RISE"].ravel(), mirrored.ravel())[0, 1])
        whole = asked.probabilities(picture[None], framed=True)
        before.append(whole[0, number])
        for name, order in orders.items():
            masks = first(order, SHARE)[None]
            for way, hidden in (("surroundings", hide(picture, masks)), ("sky", behind_sky(picture, masks))):
                chances = asked.probabilities(hidden, framed=True)
                key = (name, way)
                falls.setdefault(key, []).append((log_odds(whole, number) - log_odds(chances, number))[0])
                after.setdefault(key, []).append(chances[0, number])
                changed.setdefault(key, []).append(chances[0].argmax() != number)
            steps = np.stack([first(order, share) for share in STEPS])
            for found, masks in ((deletion, steps), (insertion, 1 - steps)):
                chances = asked.probabilities(hide(picture, masks), framed=True)[:, number]
                found.setdefault(name, []).append(np.trapezoid(chances, STEPS))
    print(f"{len(sample)} galaxies of the {options.part} part, mean probability {np.mean(before):.2f}")
    for (name, way), values in falls.items():
        low, high = interval(values)
        print(
            f"{name:15} behind {way:13} log-odds fall {np.mean(values):6.2f} ({low:.2f} to {high:.2f}), "
            f"p after {np.mean(after[name, way]):.2f}, another answer {np.mean(changed[name, way]):.0%}"
        )
    for way in ("surroundings", "sky"):
        more = np.subtract(falls["map", way], falls["middle", way])
        low, high = interval(more)
        print(f"map over middle, {way}: {np.mean(more):.2f} ({low:.2f} to {high:.2f}), more in {np.mean(more > 0):.0%}")
    measured = [("a galaxy, median", float(np.median(seconds)), "CPU-s")]
    for name in deletion:
        measured += [
            (f"{name}: deletion", float(np.mean(deletion[name])), "area"),
            (f"{name}: insertion", float(np.mean(insertion[name])), "area"),
            (f"{name}: fall of log-odds, a tenth hidden", float(np.mean(falls[name, "surroundings"])), ""),
        ]
    measured += [
        (f"{name}: as that of the mirrored picture", float(np.mean(r)), "r") for name, r in steady.items() if r
    ]
    record(machine, *measured)


if __name__ == "__main__":
    main()
