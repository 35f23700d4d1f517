"""Scores of what may go into the next training, by small heads on features of networks that are not trained further.

    python benchmarks/score_ingredients.py [--simulated 700] [--seed 222] [--model MODEL]

Features of the model that ships and of EfficientNet-lite0 as ImageNet left it (extra `pretrained`), each of the square
around the galaxy, of one twice as wide, and of both side by side; as they are (standardised), whitened by the first 128
principal components, and after a linear map to 128 numbers that is fitted by VICReg to two looks of simulated galaxies.

- rings: tagged DECaLS galaxies of the training and validation parts, ten times five folds. The model that ships was
  trained on most of them, so its figures are too high; ImageNet's are not.
- rings, taught by simulation: the same galaxies, ranked by a head that was taught by simulated galaxies alone.
- attributes: mean AUC over simulated features that can be seen in 20 galaxies or more, of simulated galaxies on which
  neither head nor map were fitted. Galaxies in which a feature is there but cannot be seen are left out.
- twins: share of simulated galaxies whose other look is the nearest of all other looks, by cosine.
- lenses: the candidates of CFHTLS, expert grade at least 2 or not, ten times five folds. They are for measuring, so
  nothing may be chosen by this line.

Intervals are 95 % of bootstrap samples of the galaxies. Features are kept in the cache folder (`peculiar info`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from machine import data_folder, describe, make_parser, record
from peculiar.files.cache import cache_folder
from peculiar.files.writing import replacing
from peculiar.images.framing import Framing, frame_pixels
from peculiar.models.model_file import Model, load_model
from peculiar.simulation import ALL_FEATURES, simulate_views
from peculiar.sources.split import part_of
from peculiar.training.consistency import vicreg
from score_discovery import ImageNet, columns_of, decoded

EXTENTS, LOOKS, DIMENSIONS = (1.0, 2.0), ("decals", "random"), 128
REPEATS, RESAMPLES, STEPS, LEAST = 10, 500, 300, 20
RINGS = ("ring_inner", "ring_outer", "ring_collisional")


@dataclass(frozen=True)
class Features:
    """Features of some pictures by network, shape (extents, n, d)."""

    peculiar: np.ndarray
    imagenet: np.ndarray

    def of(self, network: str, extent: str) -> np.ndarray:
        values = getattr(self, network)
        return np.concatenate(values, axis=1) if extent == "both" else values[("own", "wide").index(extent)]


def kept(name: str, make) -> dict[str, np.ndarray]:
    """Return arrays from the cache, made once."""
    file = cache_folder() / "ingredients" / f"{name}.npz"
    if not file.exists():
        with replacing(file) as temporary, temporary.open("wb") as opened:
            np.savez(opened, **make())
    return dict(np.load(file))


def embed(batches_of, model: Model) -> dict[str, np.ndarray]:
    """Return features of pictures; `batches_of` yields them for a framing."""
    imagenet = ImageNet(1)
    found: dict[str, list] = {"peculiar": [], "imagenet": []}
    for extent in EXTENTS:
        framed = list(batches_of(Framing(model.framing.size, crop="galaxy", margin=extent)))
        found["peculiar"].append(
            np.concatenate([model.classify(one, views=1, framed=True).embedding for one in framed])
        )
        found["imagenet"].append(np.concatenate([imagenet.embed(one) for one in framed]))
    return {name: np.stack(values) for name, values in found.items()}


def simulated(count: int, seed: int, model: Model) -> dict[str, np.ndarray]:
    """Return features of both looks, (looks, extents, n, d), with truth and visibility of the attributes."""
    views = [simulate_views(row, seed=seed, looks=LOOKS, size=256, contexts=(2.0,)) for row in range(count)]
    result = {}
    for look in range(len(LOOKS)):
        pictures = [view[look].picture for view in views]

        def batches_of(framing: Framing, pictures=pictures):
            for start in range(0, count, 64):
                yield np.stack([frame_pixels(one, framing) for one in pictures[start : start + 64]])

        result |= {f"{name}_{look}": values for name, values in embed(batches_of, model).items()}
        for what, suffix in (("there", ""), ("seen", "_visible")):
            truth = [[bool(view[look].truth.get(name + suffix, False)) for name in ALL_FEATURES] for view in views]
            result[f"{what}_{look}"] = np.array(truth)
    return result


def real(files: list[Path], rows: np.ndarray, model: Model) -> dict[str, np.ndarray]:
    return embed(lambda framing: decoded(files, rows, framing), model)


class Plain:
    """Features as they are."""

    def __init__(self, pairs: tuple[np.ndarray, np.ndarray], seed: int) -> None:
        self.scaler = StandardScaler().fit(np.concatenate(pairs))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.scaler.transform(values)


class Whitened(Plain):
    """Principal components of spread 1."""

    def __init__(self, pairs: tuple[np.ndarray, np.ndarray], seed: int) -> None:
        super().__init__(pairs, seed)
        self.pca = PCA(DIMENSIONS, whiten=True, random_state=seed).fit(super().__call__(np.concatenate(pairs)))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.pca.transform(super().__call__(values))


class Consistent(Whitened):
    """A linear map of the whitened features, fitted by VICReg to two looks of the same galaxies."""

    def __init__(self, pairs: tuple[np.ndarray, np.ndarray], seed: int) -> None:
        super().__init__(pairs, seed)
        one, other = (torch.from_numpy(super(Consistent, self).__call__(look)).float() for look in pairs)
        torch.manual_seed(seed)
        layer = torch.nn.Linear(DIMENSIONS, DIMENSIONS, bias=False)
        torch.nn.init.eye_(layer.weight)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.003, weight_decay=0.01)
        for _ in range(STEPS):
            optimizer.zero_grad()
            vicreg(layer(one), layer(other)).loss().backward()
            optimizer.step()
        self.weight = layer.weight.detach().numpy()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return super().__call__(values) @ self.weight.T


WAYS = {"as they are": Plain, "whitened": Whitened, "VICReg": Consistent}


def head(values: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=0.01, max_iter=500, class_weight="balanced").fit(values, labels)


def folded(values: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean of the ranks that heads of other folds give."""
    total = np.zeros(len(labels))
    for repeat in range(REPEATS):
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed + repeat).split(values, labels):
            total[test] += head(values[train], labels[train]).decision_function(values[test])
    return total


def interval(measure, count: int, seed: int) -> tuple[float, float, float]:
    """Return a figure of all rows, and between which values it lies for 95 % of bootstrap samples."""
    random = np.random.default_rng(seed)
    some = [measure(random.integers(count, size=count)) for _ in range(RESAMPLES)]
    return measure(np.arange(count)), *np.nanquantile(some, [0.025, 0.975])


def auc(labels: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, float, float]:
    def measure(rows: np.ndarray) -> float:
        return roc_auc_score(labels[rows], scores[rows]) if 0 < labels[rows].sum() < len(rows) else np.nan

    return interval(measure, len(labels), seed)


def attributes(fit, test, there, seen, half: np.ndarray) -> tuple[list[LogisticRegression], list[float]]:
    """Fit a head an attribute on one half of the galaxies, and score it on the other."""
    heads, areas = [], []
    for number in range(there.shape[1]):
        known = seen[:, number] | ~there[:, number]
        label = there[:, number]
        if (label & known).sum() < LEAST or (label & known & ~half).sum() < 3:
            continue
        rows, others = known & half, known & ~half
        heads.append(head(fit[rows], label[rows]))
        areas.append(roc_auc_score(label[others], heads[-1].decision_function(test[others])))
    return heads, areas


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--simulated", type=int, default=700)
    parser.add_argument("--seed", type=int, default=222)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    seed, count, model = arguments.seed, arguments.simulated, load_model(arguments.model)
    machine = describe("onnxruntime", "torch", "scikit-learn")
    files = sorted((data_folder() / "stamps").glob("*.parquet"))
    told = columns_of(files, ["id", "four_class_basis"])
    basis = told["four_class_basis"]
    parts = np.array([part_of(one, validation_size=0.1, test_size=0.15) for one in told["id"]])
    rows = np.flatnonzero(np.isin(basis, ["ring_tag", "no_ring_tag"]) & (parts != "test"))
    ringed = basis[rows] == "ring_tag"
    key = model.card.digest[:12]
    rings = Features(**kept(f"rings-{key}", lambda: real(files, rows, model)))
    lens_file = [data_folder() / "external" / "lenses.parquet"]
    lens = columns_of(lens_file, ["kind"])["kind"].astype(float) >= 2
    lenses = Features(**kept(f"lenses-{key}", lambda: real(lens_file, np.arange(len(lens)), model)))
    drawn = kept(f"simulated-{count}-{seed}-{key}", lambda: simulated(count, seed, model))
    looks = [Features(drawn[f"peculiar_{look}"], drawn[f"imagenet_{look}"]) for look in range(len(LOOKS))]
    columns = [ALL_FEATURES.index(name) for name in RINGS]
    half = np.arange(count) % 5 < 3  # heads and maps are fitted to these, and scored on the others
    lines = []
    for network in ("peculiar", "imagenet"):
        for extent in ("own", "wide", "both"):
            for way, make in WAYS.items():
                one, other = (look.of(network, extent) for look in looks)
                change = make((one[half], other[half]), seed)
                one, other, true, candidates = (
                    change(values) for values in (one, other, rings.of(network, extent), lenses.of(network, extent))
                )
                there, seen = drawn["there_0"], drawn["seen_0"]
                visible = (there & seen)[:, columns].any(axis=1)
                sure = visible | ~there[:, columns].any(axis=1)
                taught = head(one[sure], visible[sure]).decision_function(true)
                heads, areas = attributes(one, one, there, seen, half)
                answers = np.stack([each.decision_function(true) for each in heads], axis=1)
                units = [
                    values[~half] / np.linalg.norm(values[~half], axis=1, keepdims=True) for values in (one, other)
                ]
                nearest = (units[0] @ units[1].T).argmax(axis=1) == np.arange((~half).sum())
                found = {
                    "rings": auc(ringed, folded(true, ringed, seed), seed),
                    "rings, with answers about attributes": auc(
                        ringed, folded(np.hstack([true, StandardScaler().fit_transform(answers)]), ringed, seed), seed
                    ),
                    "rings, taught by simulation": auc(ringed, taught, seed),
                    "attributes": (float(np.mean(areas)), float(np.min(areas)), float(np.max(areas))),
                    "twins": interval(lambda rows, nearest=nearest: float(nearest[rows].mean()), len(nearest), seed),
                    "lenses": auc(lens, folded(candidates, lens, seed), seed),
                }
                for name, (value, low, high) in found.items():
                    print(
                        f"{network:9} {extent:5} {way:12} {name:40} {value:.3f} ({low:.3f} to {high:.3f})", flush=True
                    )
                    lines.append((f"{network}, {extent}, {way}: {name}", value, ""))
    record(machine, *lines)


if __name__ == "__main__":
    main()
