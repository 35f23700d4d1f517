"""Draw ``gallery.svg``: twelve simulated galaxies and the classes that the shipped model gives them."""

import base64
from pathlib import Path

from peculiar import FOUR_CLASS, load_model, simulate
from peculiar.images.decode import encode_picture

PICTURE = Path(__file__).with_name("gallery.svg")

COUNT, COLUMNS = 12, 6

# Pixels of the figure.
SIDE, GAP, CAPTION = 132, 12, 44

STYLE = """\
rect { fill: #0b1021; }
text { font: 12px system-ui, sans-serif; fill: #e8ecf4; text-anchor: middle; }
.right { fill: #4fd1a5; }
.wrong { fill: #ff7a6b; }"""


def draw() -> str:
    """Return the figure as SVG. The galaxies are those of ``peculiar data get simulated --count 12``."""
    galaxies = simulate(COUNT)
    probabilities = load_model().asking("four_class").probabilities(galaxies.pictures)
    shapes = []
    for number, picture in enumerate(galaxies.pictures):
        truth, called = galaxies.labels[number].argmax(), probabilities[number].argmax()
        left, top = GAP + number % COLUMNS * (SIDE + GAP), GAP + number // COLUMNS * (SIDE + CAPTION)
        jpeg = base64.b64encode(encode_picture(picture, "JPEG")).decode()
        answer = f"model: {FOUR_CLASS.answers[called]}, {probabilities[number, called]:.2f}"
        shapes += [
            f'<image x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" href="data:image/jpeg;base64,{jpeg}"/>',
            _text(left, top + SIDE + 15, f"simulated: {FOUR_CLASS.answers[truth]}", "truth"),
            _text(left, top + SIDE + 31, answer, "right" if called == truth else "wrong"),
        ]
    width, height = GAP + COLUMNS * (SIDE + GAP), GAP + -(-COUNT // COLUMNS) * (SIDE + CAPTION)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Twelve simulated galaxies and the classes that the model gives them">'
    )
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", '<rect width="100%" height="100%"/>', *shapes, "</svg>", ""])


def _text(left: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{left + SIDE // 2}" y="{y}">{text}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
