"""Measure whether the anomaly search finds kinds that are new to the model, painted on real galaxies.

    python benchmarks/score_unknown.py CATALOG [--seeds 5] [--first 0] [--model MODEL] [--sheet SHEET.png]

CATALOG is written by `peculiar predict STAMPS --embeddings --out CATALOG`, where STAMPS is the folder `stamps` of the
real galaxies. Galaxies that volunteers found not odd, and that the model was not trained on, get a feature that no
question of the model covers: a blue-green cloud of gas beside the galaxy (such as Hanny's Voorwerp), a jet from its
centre, or four images of a quasar around it. One galaxy in a hundred has such a feature. A hundred galaxies are rated,
ten per round: those of the highest ranks, or varied ones among the first (`--varied`). As a control, pictures are only
decoded and encoded again; these should be found no more often than by chance.

The pictures of the sheet are real galaxies, which the project may not publish: delete it afterwards.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from PIL import Image

from machine import data_folder, describe, make_parser, record
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.teach import raw_embeddings
from peculiar.images.central_galaxy import central_extent
from peculiar.images.decode import decode_picture
from peculiar.models.model_file import Model, load_model
from peculiar.reports import drawing, galaxy_plots
from peculiar.sources.split import part_of
from score_search import FIRST, PLANTED, loop, told

BATCH, SHOWN = 64, 12


def blobs(shape: tuple[int, int], columns: np.ndarray, rows: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Draw round spots of brightness 1 on an array of shape (height, width)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    squares = (x[..., None] - columns) ** 2 + (y[..., None] - rows) ** 2
    return np.exp(-squares / (2 * sigma**2)).sum(axis=-1)


def cloud(shape: tuple[int, int], where: tuple[float, float, float], random: np.random.Generator) -> np.ndarray:
    column, row, radius = where
    way, far = random.uniform(0, 2 * np.pi), radius * random.uniform(0.7, 1.0)
    spread = radius * random.uniform(0.12, 0.25)
    columns, rows = random.normal(0, spread, (2, 12)) + far * np.array([[np.cos(way)], [np.sin(way)]])
    light = blobs(shape, column + columns, row + rows, radius * random.uniform(0.06, 0.14, 12))
    return light[..., None] / light.max() * random.uniform(60, 130) * np.array([0.2, 1.0, 0.9])


def jet(shape: tuple[int, int], where: tuple[float, float, float], random: np.random.Generator) -> np.ndarray:
    column, row, radius = where
    way, length = random.uniform(0, 2 * np.pi), radius * random.uniform(0.8, 1.2)
    along = np.sort(random.uniform(0.1, 1, 30)) * length
    light = blobs(shape, column + along * np.cos(way), row + along * np.sin(way), np.full(30, 1.3))
    return light[..., None] / light.max() * random.uniform(60, 130) * np.array([0.6, 0.8, 1.0])


def cross(shape: tuple[int, int], where: tuple[float, float, float], random: np.random.Generator) -> np.ndarray:
    column, row, radius = where
    way, far = random.uniform(0, 2 * np.pi), radius * random.uniform(0.3, 0.5)
    ways = way + np.arange(4) * np.pi / 2 + random.normal(0, 0.15, 4)
    light = blobs(shape, column + far * np.cos(ways), row + far * np.sin(ways), np.full(4, 1.5))
    return light[..., None] * random.uniform(80, 150) * np.array([0.7, 0.85, 1.0])


def nothing(shape: tuple[int, int], where: tuple[float, float, float], random: np.random.Generator) -> np.ndarray:
    return np.zeros((*shape, 3))


def painted(content: bytes, kind: Callable[..., np.ndarray], random: np.random.Generator) -> bytes:
    """Add a feature to a picture, and encode it again."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    extent = central_extent(picture)
    pixels = np.asarray(picture, dtype=float)
    pixels = pixels + kind(pixels.shape[:2], (extent.column, extent.row, extent.radius), random)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def looked_at(model: Model, pictures: list[bytes], views: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings of pictures, and the model's probability that each is odd."""
    embeddings, odd = [], []
    for start in range(0, len(pictures), BATCH):
        some = np.stack([decode_picture(one, model.framing) for one in pictures[start : start + BATCH]])
        answers = model.classify(some, views=views, framed=True)
        embeddings.append(answers.embedding)
        odd.append(answers.probabilities["odd"][:, 1] if "odd" in answers.probabilities else np.full(len(some), np.nan))
    return np.concatenate(embeddings), np.concatenate(odd)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--model", type=Path, help="the model that made the catalogue; default: that ships")
    parser.add_argument("--sheet", type=Path, help="PNG of some of what is planted")
    options = parser.parse_args()
    machine = describe("numpy", "scikit-learn", "pillow")
    catalog, model = Catalog(options.catalog), load_model(options.model)
    catalog.check_model(model.card.digest, "give it by --model")
    views = int(catalog.notes["views"]) if catalog.notes.get("views", "").isdigit() else None
    raw, _ = raw_embeddings(catalog, np.arange(len(catalog)))
    stamps = ds.dataset(data_folder() / "stamps")
    truth = stamps.to_table(columns=["id", "gz2_argmax", "four_class"])
    ids = truth["id"].to_pylist()
    assert ids == catalog.dataset.to_table(columns=["id"])["id"].to_pylist(), "the catalogue has to be of the stamps"
    argmax, four = (np.array(truth[name].to_pylist(), dtype=object) for name in ("gz2_argmax", "four_class"))
    normal = (argmax == "not_odd") & ~np.isin(four, ["Ringed", "Merger", "Other"])
    unseen = np.array([part_of(one, validation_size=0.1, test_size=0.15) != "training" for one in ids])
    found: dict[str, list[float]] = {}
    shown: list[bytes] = []
    for seed in range(options.first, options.first + options.seeds):
        hosts = np.sort(np.random.default_rng(seed).choice(np.flatnonzero(normal & unseen), PLANTED, replace=False))
        others = np.setdiff1d(np.flatnonzero(normal), hosts)
        contents = [one["bytes"] for one in stamps.take(hosts, columns=["image"])["image"].to_pylist()]
        for kind in (cloud, jet, cross, nothing):
            random = np.random.default_rng(seed)
            pictures = [painted(one, kind, random) for one in contents]
            shown += pictures[:SHOWN] if seed == options.first else []
            embeddings, chances = looked_at(model, pictures, views)
            odd = np.arange(len(others) + PLANTED) >= len(others)
            embedded = Embeddings.of(np.vstack([raw[others], embeddings]))
            for varied in (False, True):
                values = loop(embedded, odd, seed, varied=varied)
                how = "varied" if varied else "the first in rank"
                names = ("before answers", f"asked about {how}", f"asked about {how}, of the others")
                for name, value in list(zip(names, values, strict=True))[varied:]:
                    found.setdefault(f"{kind.__name__} among the first {FIRST}, {name}", []).append(value)
            found.setdefault(f"{kind.__name__}, share that the model calls odd", []).append(
                float((chances > 0.5).mean())
            )
    if options.sheet:
        framed = np.stack([decode_picture(one, model.framing) for one in shown])
        captions = [[(kind.__name__, None)] for kind in (cloud, jet, cross, nothing) for _ in range(SHOWN)]
        drawing.save(galaxy_plots.draw_answers(framed, captions), options.sheet)
    record(machine, *(row for name, values in found.items() for row in told(name, values)))


if __name__ == "__main__":
    main()
