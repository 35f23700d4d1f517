"""The work of `predict` on each galaxy of a source, and the notes on how a catalogue was made."""

import functools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from peculiar.catalogs.carried import side_by_side
from peculiar.catalogs.rows import catalog_batches, catalog_columns
from peculiar.catalogs.tally import Tally
from peculiar.errors import ModelError, UsageError
from peculiar.images.framing import Framing
from peculiar.models.devices import CPU
from peculiar.models.model_file import Model, load_model
from peculiar.questions.column_names import COLUMNS_NOTE, MAIN_NOTE, answer_columns
from peculiar.sources.stream import Source
from peculiar.tables.column import Column
from peculiar.tables.formats import MODEL_NOTE


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that decide a catalogue, besides pictures and model.

    Parameters
    ----------
    framing : Framing
        Crop and size of the pictures; the size is that of the model.
    views : int
        Number of turned and mirrored views to average over, 1 to 8.
    embeddings : bool
        Keep the embedding of each galaxy.
    """

    framing: Framing
    views: int
    embeddings: bool


def provenance(source: Source, model: Model, settings: Settings) -> dict[str, str]:
    """Return the notes on how a catalogue was made."""
    return {
        "creator": f"peculiar {metadata.version('peculiar')}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "source": source.name,
        "model name": model.card.name,
        MODEL_NOTE: model.card.digest,
        MAIN_NOTE: model.card.main_question.name,
        COLUMNS_NOTE: json.dumps(answer_columns(model.card.questions)),
        "model licence": model.card.licence,
        "views": str(settings.views),
        "crop": str(settings.framing.crop or "whole"),
        "fast decoding": str(settings.framing.fast).lower(),
        "credits": "; ".join(model.card.credits),
        **source.notes,
    }


@dataclass(frozen=True, slots=True)
class Classification:
    """The work of `predict`; see `peculiar.catalogs.task.Task`.

    Parameters
    ----------
    model : Model
    how : Settings
    batch_size : int, optional
        Number of pictures per batch; it changes only the speed. Default: as the device takes.
    threads : int
        Number of cores of a worker.
    """

    model: Model
    how: Settings
    batch_size: int | None = None
    threads: int = 1

    shard_rows: ClassVar[tuple[int, int]] = (128, 2048)
    command: ClassVar[str] = "predict"

    def __post_init__(self) -> None:
        """Check the range before anything is written."""
        if self.batch_size is not None and self.batch_size < 1:
            message = f"batch_size has to be at least 1; received {self.batch_size}"
            raise UsageError(message)

    @property
    def digest(self) -> str:
        """Digest of the model."""
        return self.model.card.digest

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the result."""
        framing = self.how.framing
        return {
            "crop": framing.crop,
            "size": framing.size,
            "margin": framing.margin,
            "fast": framing.fast,
            "views": self.how.views,
            "embeddings": self.how.embeddings,
            # GPUs round differently, so that a catalogue is of one device.
            **({} if self.model.device.name == CPU else {"device": self.model.device.name}),
        }

    def columns(self, source: Source) -> list[Column]:
        """Return the columns of the catalogue of a source, without the columns copied from the source."""
        embeddings = self.how.embeddings
        return catalog_columns(self.model, positions=source.positioned, embeddings=embeddings, id_type=source.id_type)

    def notes(self, source: Source) -> dict[str, str]:
        """Return the notes on how a catalogue was made."""
        return provenance(source, self.model, self.how)

    def rows(
        self,
        source: Source,
        tally: Tally,
        *,
        carried: Sequence[Column] = (),
        start: int = 0,
        stop: int | None = None,
        decoders: int | None = None,
        name: str = "",
    ) -> Iterator[pa.RecordBatch]:
        """Classify rows of a source into rows of a catalogue, with the columns copied from the source."""
        device = self.model.device
        # A GPU waits for pictures, so that all cores of the worker decode; otherwise the network needs them.
        threads = decoders or self.threads if device.name == CPU else max(decoders or 1, self.threads)
        galaxies = source.galaxies(self.how.framing, threads=threads, start=start, stop=stop)
        columns, together = self.columns(source), self.batch_size or device.batch_size
        batches = catalog_batches(galaxies, columns, self.model, tally, views=self.how.views, batch_size=together)
        return side_by_side(batches, source.carried(carried, start, stop), name) if carried else batches

    def with_threads(self, threads: int) -> "Classification":
        """Return the same work for a worker with so many cores."""
        return replace(self, threads=threads)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of the model, which a worker opens only once."""
        return _reopened, (
            self.model.path,
            self.digest,
            self.how,
            self.batch_size,
            self.threads,
            self.model.device.name,
        )


def _reopened(
    path: Path, digest: str, how: Settings, batch_size: int | None, threads: int, device: str
) -> Classification:
    model = _model(path, threads, device)
    if model.card.digest != digest:
        message = f"{path} is another model on this worker than in the calling process: {model.card.digest[:12]}"
        raise ModelError(message)
    return Classification(model, how, batch_size, threads)


@functools.cache
def _model(path: Path, threads: int, device: str) -> Model:
    return load_model(path, threads=threads, device=device)
