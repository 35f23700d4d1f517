"""Progress of long commands: a bar on a terminal, a line per epoch, advice after Ctrl-C."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from peculiar.cli.terminal import err
from peculiar.errors import extra
from peculiar.text import counted

if TYPE_CHECKING:
    from peculiar.exercise.train import Watcher
    from peculiar.training.watch import Watcher as TrainingWatcher


@contextmanager
def counting(task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a count; the yielded function takes the number of newly finished ones."""
    with bar("", task) as show:
        show(total=total)
        yield lambda done: show(advance=done)


@contextmanager
def bar(if_stopped: str, task: str = "reading") -> Iterator[Callable[..., None]]:
    """Show progress, rate and remaining time if standard error is a terminal, and advice after an interruption."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} a second")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        number = progress.add_task(task, total=None)
        try:
            yield lambda **values: progress.update(number, **values)
        except KeyboardInterrupt as error:
            err.print(f"stopped{if_stopped}")
            raise typer.Exit(130) from error


@contextmanager
def stopping(task: str) -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second signal interrupts at once."""
    stop = threading.Event()
    former: dict[int, Any] = {}

    def request_stop(number: int, _: Any) -> None:
        signal.signal(number, former.pop(number))
        err.print(f"{task}; press Ctrl-C again to abort")
        stop.set()

    for known in (signal.SIGINT, signal.SIGTERM):
        former[known] = signal.signal(known, request_stop)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def watching(if_stopped: str = "") -> Iterator["Watcher"]:
    """Show a run of the exercise's network: a bar with metrics, a line per epoch, and advice after an interruption."""
    with extra("training the exercise's network", "exercise"):
        from peculiar.exercise.train import Watcher, epoch_text

    with bar(if_stopped) as show:

        class Terminal(Watcher):
            def __init__(self) -> None:
                self.epochs = 0

            def reading(self, done: int, total: int) -> None:
                show(completed=done, total=total)

            def begin(self, record: Any, summary: str) -> None:
                self.epochs = record.arguments.epochs
                counts = (
                    f"{counted(record.training_count, 'galaxy')} to train on, {record.validation_count:,} held back"
                )
                for text in (f"{counts}; classes: {', '.join(record.question.answers)}", "", *summary.splitlines(), ""):
                    err.print(text)

            def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
                description = f"epoch {epoch}/{self.epochs}  loss {loss:.3f}  accuracy {accuracy:.3f}"
                show(description=description, completed=done, total=total)

            def epoch(self, line: dict[str, Any]) -> None:
                err.print(epoch_text(line, self.epochs))

        yield Terminal()


@contextmanager
def watching_training(if_stopped: str = "") -> Iterator["TrainingWatcher"]:
    """Show a run of the galaxy network: a bar with the loss, a line per epoch, and advice after an interruption."""
    from peculiar.training.watch import Watcher, epoch_text, record_text

    with bar(if_stopped) as show:

        class Terminal(Watcher):
            def __init__(self) -> None:
                self.epochs = 0

            def note(self, text: str) -> None:
                err.print(text)

            def reading(self, done: int, total: int) -> None:
                show(completed=done, total=total)

            def comparing(self, done: int, total: int) -> None:
                show(description="looking for duplicates", completed=done, total=total)

            def embedding(self, done: int, total: int) -> None:
                show(description="embedding", completed=done, total=total)

            def asking(self, done: int, total: int) -> None:
                show(description="asking the teachers", completed=done, total=total)

            def begin(self, record: Any, parameters: int) -> None:
                self.epochs = record.recipe.epochs
                err.print(record_text(record, parameters))

            def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
                description = f"epoch {epoch}/{self.epochs}  loss {loss:.3f}"
                show(description=description, completed=done, total=total)

            def epoch(self, line: dict[str, Any]) -> None:
                err.print(epoch_text(line, self.epochs))

        yield Terminal()
