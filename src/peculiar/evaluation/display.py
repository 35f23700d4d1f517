"""Descriptions of an assessment, as text and as HTML for notebooks."""

from collections.abc import Sequence

from peculiar.metrics.scores import Scores
from peculiar.notebook import Markup, bar, card, escaped, table
from peculiar.text import counted, format_interval, format_score, shown

_SCORES = (
    ("accuracy", "accuracy"),
    ("balanced accuracy", "balanced_accuracy"),
    ("AUC", "auc"),
    ("calibration error", "calibration_error"),
)

_MOST_CLASSES = 5


def describe_scores(title: str, scores: Scores, notes: Sequence[str]) -> str:
    """Return a description of scores in a few lines: each score with its interval, the classes, and a line of notes."""
    lines = [shown(title)]
    lines += [f"  {name} {_score(scores, key)}" for name, key in _SCORES]
    classes = [f"{shown(name)} {format_score(of.recall)}" for name, of in scores.classes.items()]
    more = len(classes) - _MOST_CLASSES
    lines.append("  recall: " + ", ".join(classes[:_MOST_CLASSES]) + (f" and {more} more" if more > 0 else ""))
    lines += [f"  {shown(note)}" for note in notes[:2]]
    return "\n".join(lines)


def scores_html(title: str, scores: Scores, notes: Sequence[str]) -> str:
    """Return a description of scores as HTML: intervals, bars by class, and the confusion matrix."""
    parts = [
        table(
            ["score", "value (95 % interval)"], ([escaped(name), escaped(_score(scores, key))] for name, key in _SCORES)
        ),
        table(["class", "galaxies", "precision", "recall"], (_class_row(scores, name) for name in scores.classes)),
        _confusion(scores),
        *map(escaped, notes),
    ]
    return card(title, parts)


def title_of(model: str, question: str, count: int) -> str:
    """Return the heading of an assessment."""
    return f"Assessment of {model} on {counted(count, 'galaxy')}, question {question}"


def _score(scores: Scores, key: str) -> str:
    interval = format_interval(scores.intervals.get(key))
    return format_score(getattr(scores, key)) + (f" ({interval})" if interval else "")


def _class_row(scores: Scores, name: str) -> list[Markup]:
    of = scores.classes[name]
    shares = [bar(value or 0, format_score(value)) for value in (of.precision, of.recall)]
    return [escaped(name), escaped(f"{of.count:,}"), *shares]


def _confusion(scores: Scores) -> Markup:
    """Return the confusion matrix as HTML, with true classes in rows and predicted classes in columns."""
    names = list(scores.classes)
    rows = []
    for name, counts in zip(names, scores.confusion, strict=True):
        total = sum(counts) or 1
        cells = [_shaded(count / total, f"{count:,}") for count in counts]
        rows.append([escaped(name), *cells])
    return table(["true class", *names], rows)


def _shaded(share: float, text: str) -> Markup:
    return Markup(f'<span style="padding:1px 8px;background:rgba(0,114,178,{0.75 * share:.2f})">{escaped(text)}</span>')
