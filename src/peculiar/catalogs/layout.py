"""A two-dimensional map of a catalogue, on which similar galaxies lie side by side.

t-SNE (van der Maaten & Hinton 2008) places a few thousand random landmarks by the first principal components of their
embeddings; every other galaxy is placed between its most similar landmarks. Memory and time therefore grow no faster
than for reading the catalogue.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.search import Kind, own
from peculiar.catalogs.sheet import find_pictures
from peculiar.catalogs.table import GalaxyTable
from peculiar.errors import UsageError
from peculiar.images.framing import Framing
from peculiar.sources.stream import Source
from peculiar.tables.column import Column

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANDMARKS = 2_000

_COMPONENTS, _NEAREST = 40, 5

CELLS = 22
"""Number of cells per side of the map; each shows one picture."""


def lay_out_catalog(catalog: Kind, *, landmarks: int = LANDMARKS, seed: int = 222) -> Kind:
    """Compute a map of the galaxies of a catalogue.

    Parameters
    ----------
    catalog : GalaxyTable
        With embeddings.
    landmarks : int
        Number of galaxies that t-SNE places, 50 or more.
    seed : int
        Seed of their random choice.

    Returns
    -------
    GalaxyTable
        All rows in their order, with the columns ``x`` and ``y``, from 0 to 1 and null without an embedding, and the
        columns ``id``, ``class`` and position of the catalogue.

    Raises
    ------
    UsageError
        If the catalogue has no embeddings, or fewer than 50 galaxies with one.
    """
    places = own(catalog, find_places(catalog.root, catalog.root.embeddings(), landmarks=landmarks, seed=seed))
    names = [name for name in ("id", "ra", "dec", "class") if name in catalog.columns]
    table = pa.Table.from_batches(list(catalog.batches(names)))
    for number, name in enumerate("xy"):
        table = table.append_column(name, pa.array(places[:, number], pa.float32(), from_pandas=True))
    axes = [Column(name, pa.float32(), f"place on the map of embeddings, {name}, 0 to 1") for name in "xy"]
    columns = [*(catalog.columns[name] for name in names), *axes]
    return catalog.found(columns, table, {"landmarks": str(landmarks), **catalog.whose}, np.arange(len(catalog)))


def find_places(
    catalog: GalaxyTable, embeddings: Embeddings, *, landmarks: int = LANDMARKS, seed: int = 222
) -> NDArray[np.float32]:
    """Return the result of `lay_out` for a catalogue, computed once and then read from the cache."""
    file = catalog.cached(
        "maps",
        f"-{landmarks}-{seed}.npy",
        lambda file: np.save(file, lay_out(embeddings, landmarks=landmarks, seed=seed)),
    )
    return np.asarray(np.load(file))


def lay_out(embeddings: Embeddings, *, landmarks: int = LANDMARKS, seed: int = 222) -> NDArray[np.float32]:
    """Return places on the map, 0 to 1, shape (n, 2); NaN without an embedding. See `lay_out_catalog`."""
    from sklearn.decomposition import PCA  # scikit-learn takes a second to import
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors

    known = np.flatnonzero(embeddings.known)
    if min(len(known), landmarks) < 50:
        message = f"a map needs 50 galaxies with an embedding, and 50 landmarks; received {len(known)} and {landmarks}"
        raise UsageError(message)
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(known, min(landmarks, len(known)), replace=False))
    reduce = PCA(n_components=min(_COMPONENTS, len(embeddings.centre)), svd_solver="covariance_eigh")
    reduced = reduce.fit_transform(embeddings.vectors[chosen])
    laid = TSNE(init="pca", perplexity=min(30, len(chosen) / 4), random_state=seed).fit_transform(reduced)
    laid = (laid - laid.min(axis=0)) / np.maximum(np.ptp(laid, axis=0), 1e-12)
    nearest = NearestNeighbors(n_neighbors=_NEAREST).fit(reduced)
    places = np.full((len(embeddings), 2), np.nan, dtype=np.float32)
    for rows, block in embeddings.blocks():
        there = np.flatnonzero(embeddings.known[rows])
        if not len(there):
            continue
        distances, which = nearest.kneighbors(reduce.transform(block[there]))
        # The weights grow with the similarity, so that a landmark keeps its own place.
        pull = 1 / np.maximum(distances, 1e-6) ** 4
        places[rows.start + there] = (laid[which] * (pull / pull.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)
    return places


def draw_layout(laid_out: GalaxyTable, source: Source | None = None) -> "Figure":
    """Draw a map.

    Parameters
    ----------
    laid_out : GalaxyTable
        As returned by `lay_out_catalog`.
    source : Source, optional
        The pictures: each cell of the map shows the galaxy nearest to its centre. Without it, every galaxy is a dot in
        the colour of its class.
    """
    # Matplotlib takes a fifth of a second to import, and searches do not need it.
    from peculiar.reports import galaxy_plots, plots

    table = laid_out.to_arrow()
    x, y = (table[name].to_numpy() for name in "xy")
    if source is None:
        return plots.draw_map(x, y, table["class"].to_pylist() if "class" in table.column_names else None)
    ids = laid_out.ids
    cells = {cell: ids[row] for cell, row in _nearest_to_middles(x, y).items()}
    pictures = find_pictures(source, cells.values(), Framing(64, crop="galaxy"))
    return galaxy_plots.draw_mosaic({cell: pictures[id_] for cell, id_ in cells.items() if id_ in pictures}, CELLS)


def _nearest_to_middles(x: NDArray[np.floating], y: NDArray[np.floating]) -> dict[tuple[int, int], int]:
    """Return the galaxy nearest to the centre of each cell that is not empty, by column and row from the bottom."""
    known = np.flatnonzero(~np.isnan(x))
    places = np.column_stack([x, y])[known] * CELLS
    cells = np.clip(places.astype(int), 0, CELLS - 1)
    distances = np.hypot(*(places - cells - 0.5).T)
    found: dict[tuple[int, int], int] = {}
    for one in np.argsort(distances, kind="stable"):
        found.setdefault((int(cells[one, 0]), int(cells[one, 1])), int(known[one]))
    return found
