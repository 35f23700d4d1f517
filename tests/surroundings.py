"""A folder such as the examples of docstrings and of docs/python.md are run in: small fake galaxies of every kind."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy.io import fits

from classifications import classification, export
from peculiar.catalogs.predict import predict
from peculiar.exercise.run_folder import Arguments
from peculiar.exercise.train import train
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import open_source
from peculiar.sources.npz import write_npz
from peculiar.sources.simulated import simulate
from pictures import draw_galaxy


def _write_mosaic(folder: Path) -> None:
    """A mosaic of one band with a grid of degrees, and two positions on it."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"], header["CRPIX1"], header["CRPIX2"] = 150.0, 2.0, 100.0, 100.0
    header["CDELT1"], header["CDELT2"] = -1e-3, 1e-3
    light = np.random.default_rng(222).normal(0, 1, (200, 200)).astype(np.float32)
    light[60:140, 60:140] += draw_galaxy(80, 10, 40, 40)[..., 0]
    fits.writeto(folder / "mosaic.fits", light, header)
    (folder / "positions.csv").write_text("id,ra,dec\na,150.0,2.0\nb,150.01,2.01\n", encoding="utf-8")


def furnish(folder: Path) -> None:
    """Write into a folder, which is the present one:

    ``my_classes`` (twelve pictures of each of two classes), ``pictures`` (twelve), ``survey.parquet`` (sixty with
    pictures, positions and labels), ``galaxies.parquet`` (their catalogue by the model that ships, with embeddings),
    ``labels.csv`` (their labels by id), ``galaxydata.npz`` (forty galaxies as the exercise has them), ``runs/first`` (a
    run of the exercise), ``labels.db`` (answers of two annotators),
    ``classifications.csv`` (an export of Zooniverse), ``mosaic.fits`` and ``positions.csv``.
    """
    for number in range(24):
        kind, ratio = (("face_on", 1.0), ("edge_on", 0.25))[number % 2]
        content = encode_picture(draw_galaxy(64, 8 + number / 3, 32, 32, seed=number, ratio=ratio))
        for place in (folder / "my_classes" / kind, *([folder / "pictures"] if number < 12 else [])):
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:02d}.png").write_bytes(content)
    simulation = simulate(60, size=64, seed=222)
    answers = [FOUR_CLASS.answers[number] for number in simulation.labels.argmax(axis=1)]
    rows = [
        {
            "id": f"sim-{number:02d}",
            "ra": 150 + number / 100,
            "dec": 2 - number / 100,
            "image": {"bytes": encode_picture(picture), "path": None},
            "four_class": answer,
        }
        for number, (picture, answer) in enumerate(zip(simulation.pictures, answers, strict=True))
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), folder / "survey.parquet")
    table = "".join(f"{row['id']},{row['four_class']}\n" for row in rows)
    (folder / "labels.csv").write_text(f"id,four_class\n{table}", encoding="utf-8")
    predict(folder / "survey.parquet", folder / "galaxies.parquet", embeddings=True, verbose=False)
    _write_mosaic(folder)
    exercise = simulate(40, size=128, seed=3)
    write_npz(folder / "galaxydata.npz", exercise.pictures, exercise.labels, parameters=exercise.parameters)
    train(open_source(folder / "galaxydata.npz"), folder / "runs" / "first", Arguments(epochs=1))
    export(folder / "classifications.csv", [classification(1, "odd"), classification(2, "not odd")])
    with Labels(folder / "labels.db") as labels:
        labels.ask(FOUR_CLASS)
        given = [("Ada", "sim-00", "Merger"), ("Bob", "sim-00", "Merger"), ("Ada", "sim-01", "Normal")]
        events = [
            Event(f"event-{number:06d}", "answer", who, galaxy, "four_class", answer)
            for number, (who, galaxy, answer) in enumerate(given)
        ]
        labels.record(events)
