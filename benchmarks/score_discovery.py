"""Scores of finding a kind of galaxy from few labels, beside those of ImageNet's features.

    python benchmarks/score_discovery.py [--sets stamps lenses euclid_vis hst_goods zoo_examples] [--labels 5 20 100]
        [--draws 10] [--model MODEL] [--parts heads rounds novelty]

Heads. For each set of real galaxies and each kind in it: the head of the labelling pages (eight logistic regressions on
embeddings) is given so many labels, half of them of the kind, drawn at random, and ranks all other galaxies. Figures
are average precision, precision in the first 20 and AUC: the mean over the draws, and between which values lie 95 % of
draws and bootstrap samples of the galaxies. Beside it stand features of EfficientNet-lite0 as ImageNet left it (extra
`pretrained`), of the same crops at the same size and with the same labels, and the rank without labels of `search
anomalies --novel`.

Of the stamps only galaxies are used that the model was not trained on. Labels of `euclid_vis` are a network's, of
`hst_goods` one person's of stars and quasars; the others are experts' or volunteers'. Sets with fewer than ten galaxies
of a kind, or of the others, are left out, and so is `lens_guide`, whose two kinds are files of different making.

Novelty. One in a hundred galaxies of the stamps' test part is of a kind (another draw each time), and all are ranked
without labels: average precision of `--novel`, of the two other methods of `search anomalies`, and of `--novel` with
ImageNet's features. The measure was chosen on the validation part.

Rounds. They follow Gomez et al. 2025 (AnomalyMatch, arXiv:2505.03509): one in a hundred is of the kind; from 5 of the
kind and 495 others, three rounds add the ten highest-ranked of either; figures are for what has no label then. Only the
shapes have enough galaxies for it, and the model has been told of these. The paper's figures are of other pictures.

Embeddings are kept in the cache folder (`peculiar info`), so that a second run takes minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from machine import data_folder, describe, make_parser, record
from peculiar.catalogs.active import features, fit_committee
from peculiar.catalogs.anomalies import METHODS, outlier_ranks
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.novelty import novelty
from peculiar.files.cache import cache_folder
from peculiar.files.digests import file_digest
from peculiar.files.writing import replacing
from peculiar.images.decode import decode_picture
from peculiar.images.framing import Framing
from peculiar.models.model_file import Model, load_model
from peculiar.sources.split import part_of
from peculiar.training.dimensions import LITE_WIDTH
from peculiar.training.networks.bodies import imagenet_file, lite_body, load_imagenet

BATCH, FIRST, RESAMPLES = 64, 20, 20
NETWORKS = ("peculiar", "imagenet")
SETS = ("stamps", "lenses", "euclid_vis", "hst_goods", "zoo_examples")
PARTS = ("heads", "rounds", "novelty")
START, NOMINAL, ADDED, ROUNDS = 5, 495, 10, 3


@dataclass(frozen=True)
class Kind:
    """Galaxies of a kind among others: rows of a set, and which of them are of the kind."""

    name: str
    rows: np.ndarray
    is_it: np.ndarray
    shape: bool = False
    test: np.ndarray | None = None


class ImageNet:
    """EfficientNet-lite0 as ImageNet left it: the 1,280 numbers before its classes, mean over views."""

    def __init__(self, views: int) -> None:
        body = lite_body(LITE_WIDTH)
        load_imagenet(body)
        weights = torch.load(imagenet_file(), weights_only=True)
        last = nn.Conv2d(320, 1280, 1)
        scale = weights["_bn1.weight"] / (weights["_bn1.running_var"] + 1e-3).sqrt()
        with torch.no_grad():
            last.weight.copy_(weights["_conv_head.weight"] * scale[:, None, None, None])
            last.bias.copy_(weights["_bn1.bias"] - weights["_bn1.running_mean"] * scale)
        self.net = nn.Sequential(*body[:-1], last, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
        self.views = views

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Return features of pictures, uint8 (n, side, side, 3), shape (n, 1280)."""
        turned = [np.rot90(pictures, view, axes=(1, 2)) for view in range(self.views)]
        with torch.inference_mode():
            seen = [torch.from_numpy(np.ascontiguousarray(one)).permute(0, 3, 1, 2).float() / 255 for one in turned]
            return torch.stack([self.net(one) for one in seen]).mean(dim=0).numpy()


def embedded(files: list[Path], rows: np.ndarray, network: str, model: Model) -> np.ndarray:
    """Return the embeddings of some pictures by a network; kept in the cache, since they take minutes."""
    views, crop = model.card.views, model.framing.crop
    name = model.card.digest[:12] if network == "peculiar" else f"{network}-{crop}-{views}"
    digest = file_digest(files[0])[:12]
    file = cache_folder() / "discovery" / f"{files[0].parent.name}-{files[0].stem}-{digest}-{len(rows)}-{name}.npy"
    if not file.exists():
        own = None if network == "peculiar" else ImageNet(views)
        parts = []
        for pictures in decoded(files, rows, Framing(model.framing.size, crop=crop)):
            parts.append(own.embed(pictures) if own else model.classify(pictures, framed=True).embedding)
        with replacing(file) as temporary, temporary.open("wb") as opened:
            np.save(opened, np.concatenate(parts))
    return np.load(file)


def decoded(files: list[Path], rows: np.ndarray, framing: Framing) -> Iterator[np.ndarray]:
    data = ds.dataset([str(file) for file in files])
    for start in range(0, len(rows), BATCH):
        some = data.take(rows[start : start + BATCH], columns=["image"])["image"].to_pylist()
        yield np.stack([decode_picture(one["bytes"], framing) for one in some])


def columns_of(files: list[Path], names: list[str]) -> dict[str, np.ndarray]:
    table = ds.dataset([str(file) for file in files]).to_table(columns=names)
    return {name: np.array(table[name].to_pylist(), dtype=object) for name in names}


def kinds_of(name: str) -> tuple[list[Path], np.ndarray, list[Kind]]:
    """Return the files of a set, the rows whose embeddings are needed, and the kinds in these rows."""
    folder = data_folder()
    if name == "stamps":
        files = sorted((folder / "stamps").glob("*.parquet"))
        told = columns_of(files, ["id", "four_class", "four_class_basis", "clean5", "gz2_argmax"])
        parts = np.array([part_of(one, validation_size=0.1, test_size=0.15) for one in told["id"]])
        rows = np.flatnonzero(parts != "training")
        told = {column: values[rows] for column, values in told.items()}
        four, basis, shape, odd = (told[one] for one in ("four_class", "four_class_basis", "clean5", "gz2_argmax"))
        normal = (odd == "not_odd") & ~np.isin(four, ["Ringed", "Merger", "Other"])
        test, sure = parts[rows] == "test", basis != "weak_looks"
        kinds = [among(one, (four == one) & sure, normal, test=test) for one in ("Ringed", "Merger", "Other")]
        kinds.append(among("odd", odd == "odd", normal, test=test))
        kinds.append(among("Ringed, within DECaLS", basis == "ring_tag", basis == "no_ring_tag"))
        known = shape != np.array(None)
        shapes = ("round", "in_between", "cigar", "edge_on", "spiral")
        return files, rows, kinds + [among(one, shape == one, known & (shape != one), shape=True) for one in shapes]
    files = [folder / "external" / f"{name}.parquet"]
    told = columns_of(files, ["kind", "four_class", "four_class_basis"])
    rows, kind, four = np.arange(len(told["kind"])), told["kind"], told["four_class"]
    if name == "lenses":
        grade = kind.astype(float)
        return files, rows, [among("lens, expert grade 2 or more", grade >= 2, grade < 2)]
    if name == "euclid_vis":
        return files, rows, [among("merger, by a network", kind == "machine: Merger", kind == "machine: Normal")]
    if name == "hst_goods":
        star = told["four_class_basis"] == "star or quasar by eye"
        return files, rows, [among("star or quasar", star, ~star)]
    return files, rows, [among("odd, examples of Galaxy Zoo", four == "Other", four == "Normal")]


def among(
    name: str, is_it: np.ndarray, others: np.ndarray, *, shape: bool = False, test: np.ndarray | None = None
) -> Kind:
    rows = np.flatnonzero(is_it | others)
    return Kind(name, rows, is_it[rows], shape, None if test is None else test[rows])


def figures(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return average precision, precision in the first 20, and AUC."""
    first = np.argsort(-scores, kind="stable")[:FIRST]
    return np.array([average_precision_score(truth, scores), truth[first].mean(), roc_auc_score(truth, scores)])


def ranked(embeddings: Embeddings, is_it: np.ndarray, labelled: np.ndarray, seed: int) -> np.ndarray:
    """Return how probably each galaxy is of the kind, by a head on some labels."""
    committee = fit_committee(features(embeddings, labelled), is_it[labelled].astype(int), 2, seed=seed)
    return committee.probabilities(features(embeddings, slice(None)))[:, 1]


def drawn(is_it: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw rows to label, half of them of the kind, but no more than half of these."""
    random = np.random.default_rng(seed)
    mine, others = np.flatnonzero(is_it), np.flatnonzero(~is_it)
    wanted = min((count + 1) // 2, len(mine) // 2)
    rest = min(count - wanted, len(others) // 2)
    return np.concatenate([random.choice(mine, wanted, replace=False), random.choice(others, rest, replace=False)])


def resampled(truth: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> dict[str, list[np.ndarray]]:
    """Return figures of bootstrap samples, the same for all networks."""
    random = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {network: [] for network in scores}
    for _ in range(RESAMPLES):
        rows = random.integers(len(truth), size=len(truth))
        if 0 < truth[rows].sum() < len(rows):
            for network, values in scores.items():
                found[network].append(figures(truth[rows], values[rows]))
    return found


def compare(kind: Kind, embeddings: dict[str, Embeddings], count: int, draws: int) -> dict[str, np.ndarray]:
    """Return mean, low and high of the figures, shape (3, 3), by network, and of the difference of the first two."""
    means: dict[str, list[np.ndarray]] = {network: [] for network in embeddings}
    samples: dict[str, list[np.ndarray]] = {network: [] for network in embeddings}
    for seed in range(draws if count else 1):
        labelled = drawn(kind.is_it, count, seed) if count else np.empty(0, dtype=int)
        left = np.setdiff1d(np.arange(len(kind.is_it)), labelled)
        scores = {
            network: (ranked(one, kind.is_it, labelled, seed) if count else novelty(one))[left]
            for network, one in embeddings.items()
        }
        for network, values in scores.items():
            means[network].append(figures(kind.is_it[left], values))
        for network, values in resampled(kind.is_it[left], scores, seed).items():
            samples[network] += values
    found = {network: summed(means[network], samples[network]) for network in embeddings}
    first, second = (np.array(samples[network]) for network in NETWORKS)
    gain = np.mean(means["peculiar"], axis=0) - np.mean(means["imagenet"], axis=0)
    return found | {"difference": np.stack([gain, *np.quantile(first - second, [0.025, 0.975], axis=0)])}


def summed(means: list[np.ndarray], samples: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.mean(means, axis=0), *np.quantile(samples, [0.025, 0.975], axis=0)])


def novel(kind: Kind, embeddings: dict[str, Embeddings], draws: int) -> dict[str, np.ndarray]:
    """Return average precisions without labels, one a draw, of a kind that one in a hundred galaxies is of."""
    found: dict[str, list[float]] = {}
    for seed in range(draws):
        random = np.random.default_rng(seed)
        mine, others = (np.flatnonzero(kind.test & one) for one in (kind.is_it, ~kind.is_it))
        pool = np.sort(np.concatenate([others, random.choice(mine, min(len(others) // 99, len(mine)), replace=False)]))
        # Seen from the centre of these galaxies.
        own, imagenet = (Embeddings.of(embeddings[network].raw(pool)) for network in NETWORKS)
        ranks = {"novelty": novelty(own)} | {method: outlier_ranks(own, method=method) for method in METHODS}
        for method, values in (ranks | {"novelty, ImageNet": novelty(imagenet)}).items():
            found.setdefault(method, []).append(average_precision_score(kind.is_it[pool], values))
    return {method: np.array(values) for method, values in found.items()}


def in_rounds(kind: Kind, embeddings: Embeddings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return AUC, average precision and precision in the first hundredth before and after the rounds."""
    random = np.random.default_rng(seed)
    mine, others = np.flatnonzero(kind.is_it), np.flatnonzero(~kind.is_it)
    pool = np.sort(np.concatenate([others, random.choice(mine, len(others) // 99, replace=False)]))
    part, is_it = embeddings.take(pool), kind.is_it[pool]
    labelled = np.concatenate(
        [
            random.choice(np.flatnonzero(is_it), START, replace=False),
            random.choice(np.flatnonzero(~is_it), NOMINAL, replace=False),
        ]
    )
    found = []
    for step in range(ROUNDS + 1):
        scores = ranked(part, is_it, labelled, seed)
        left = np.setdiff1d(np.arange(len(pool)), labelled)
        order = left[np.argsort(-scores[left], kind="stable")]
        top = is_it[order[: max(1, len(left) // 100)]].mean()
        truth, values = is_it[left], scores[left]
        found.append(np.array([roc_auc_score(truth, values), average_precision_score(truth, values), top]))
        if step < ROUNDS:
            labelled = np.concatenate([labelled, order[is_it[order]][:ADDED], order[~is_it[order]][:ADDED]])
    return found[0], found[-1]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--labels", nargs="+", type=int, default=(0, 5, 20, 100), help="0: the rank of novelty")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--model", type=Path, help="model file; default: the one that ships")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe("numpy", "scikit-learn", "onnxruntime", "torch")
    model = load_model(options.model, threads=1)
    rows: list[tuple[str, float, str]] = []
    head = (
        "set",
        "kind",
        "of all",
        "labels",
        "average precision",
        "ImageNet",
        "first 20",
        "ImageNet",
        "AUC",
        "ImageNet",
    )
    lines = [f"| {' | '.join(head)} | difference of AUC |", "|---" * 11 + "|"]
    ranks: list[str] = []
    rounds = [
        "| kind | labels | AUC | ImageNet | average precision | ImageNet | first 1 % | ImageNet |",
        "|---" * 8 + "|",
    ]
    for name in options.sets:
        files, needed, kinds = kinds_of(name)
        vectors = {network: embedded(files, needed, network, model) for network in NETWORKS}
        for kind in kinds:
            embeddings = {network: Embeddings.of(one[kind.rows]) for network, one in vectors.items()}
            share = f"{kind.is_it.sum():,} of {len(kind.is_it):,}"
            for count in options.labels if "heads" in options.parts else ():
                found = compare(kind, embeddings, count, options.draws)
                called = f"{name}, {kind.name}, {count} labels"
                for network in NETWORKS:
                    for place, what in enumerate(("average precision", f"precision in the first {FIRST}", "AUC")):
                        rows.append((f"{called}, {network}: {what}", float(found[network][0, place]), ""))
                for row, end in enumerate(("", ", low", ", high")):
                    rows.append((f"{called}, difference of AUC{end}", float(found["difference"][row, 2]), ""))
                lines.append(table_line(name, kind.name, share, count, found))
                print(lines[-1], flush=True)
            if kind.shape and "rounds" in options.parts:
                rows += rounds_of(kind, embeddings, options.draws, rounds)
            if kind.test is not None and "novelty" in options.parts:
                found = novel(kind, embeddings, options.draws)
                ranks = ranks or [f"| kind | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
                cells = [f"{one.mean():.3f} ({one.min():.3f} to {one.max():.3f})" for one in found.values()]
                ranks.append(f"| {' | '.join([kind.name, *cells])} |")
                told = {
                    f"{kind.name} at 1 %, {way}: average precision": float(one.mean()) for way, one in found.items()
                }
                rows += [(what, value, "") for what, value in told.items()]
    print("\n".join(["", *lines, "", *rounds, "", *ranks, ""]))
    record(machine, *rows)


def table_line(name: str, kind: str, share: str, count: int, found: dict[str, np.ndarray]) -> str:
    def told(values: np.ndarray, place: int, sign: str = "") -> str:
        return "{0:{s}.3f} ({1:{s}.3f} to {2:{s}.3f})".format(*values[:, place], s=sign)

    own, other, gain = (found[one] for one in (*NETWORKS, "difference"))
    cells = [name, kind, share, str(count) if count else "none: novelty", told(own, 0), told(other, 0)]
    cells += [f"{values[0, 1]:.2f}" for values in (own, other)]
    return "| " + " | ".join([*cells, told(own, 2), told(other, 2), told(gain, 2, "+")]) + " |"


def rounds_of(
    kind: Kind, embeddings: dict[str, Embeddings], draws: int, lines: list[str]
) -> list[tuple[str, float, str]]:
    """Run the rounds of AnomalyMatch for a kind, and add lines to the table."""
    rows = []
    each = {
        network: np.array([in_rounds(kind, one, seed) for seed in range(draws)]) for network, one in embeddings.items()
    }
    for step, labels in enumerate((f"{START} and {NOMINAL}", f"after {ROUNDS} rounds")):
        means = [each[network][:, step].mean(axis=0) for network in NETWORKS]
        cells = [f"{values[place]:.3f}" for place in range(3) for values in means]
        lines.append(f"| {' | '.join([kind.name, labels, *cells])} |")
        for network, values in zip(NETWORKS, means, strict=True):
            for place, what in enumerate(("AUC", "average precision", "precision in the first hundredth")):
                rows.append((f"rounds, {kind.name} at 1 %, {labels}, {network}: {what}", float(values[place]), ""))
    return rows


if __name__ == "__main__":
    main()
