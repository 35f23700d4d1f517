"""Draw ``mock.svg``: a mock observation of every feature, and one galaxy as every survey shows it."""

import base64
from pathlib import Path

from peculiar.images.decode import encode_picture
from peculiar.simulation import ALL_FEATURES, View, simulate_views
from peculiar.simulation.looks import LOOKS

PICTURE = Path(__file__).with_name("mock.svg")

COLUMNS = 8

# Pixels of the figure.
SIDE, GAP, CAPTION = 104, 8, 24

# The galaxy of the last row.
ROW = 0

STYLE = """\
rect { fill: #0b1021; }
text { font: 11px system-ui, sans-serif; fill: #e8ecf4; text-anchor: middle; }"""


def views() -> list[tuple[str, View]]:
    """Return the first galaxy of each feature in which it can be seen, and one galaxy in every look."""
    shown = []
    for number, feature in enumerate(ALL_FEATURES):
        rows = range(10 * number, 10 * number + 40)
        drawn = (simulate_views(row, looks=("hsc",), features=(feature,), size=SIDE)[0] for row in rows)
        shown.append((feature, next(view for view in drawn if view.truth[f"{feature}_visible"])))
    shown += [("", shown[0][1])] * (-len(shown) % COLUMNS)
    looks = simulate_views(ROW, looks=tuple(LOOKS), features=("arms",), size=SIDE)
    return [*shown, *zip(LOOKS, looks, strict=True)]


def draw() -> str:
    """Return the figure as SVG."""
    shapes = []
    shown = views()
    for number, (name, view) in enumerate(shown):
        if not name:
            continue
        left, top = GAP + number % COLUMNS * (SIDE + GAP), GAP + number // COLUMNS * (SIDE + CAPTION)
        jpeg = base64.b64encode(encode_picture(view.picture, "JPEG")).decode()
        shapes += [
            f'<image x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" href="data:image/jpeg;base64,{jpeg}"/>',
            f'<text x="{left + SIDE // 2}" y="{top + SIDE + 14}">{name.replace("_", " ")}</text>',
        ]
    width, height = GAP + COLUMNS * (SIDE + GAP), GAP + -(-len(shown) // COLUMNS) * (SIDE + CAPTION)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Simulated galaxies with each feature, and one galaxy as eight surveys show it">'
    )
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", '<rect width="100%" height="100%"/>', *shapes, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
