"""Draw ``architecture.svg``, the rooms and what each imports, and write ``modules.md``, which lists their modules."""

import ast
import textwrap
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "peculiar"
PICTURE = ROOT / "docs" / "architecture.svg"
PAGE = ROOT / "docs" / "modules.md"

LEARNING = {"torch", "accelerate"}

# Pixels of the picture.
WIDTH, MARGIN, LEFT, GAP, LINE, PAD = 1080, 24, 62, 12, 15, 12

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1c2333; }
.name { font: 700 14px ui-monospace, monospace; }
.soft { fill: #5a6478; }
.use { fill: #e8f0fb; stroke: #7f9fcf; }
.learn { fill: #fdf0e1; stroke: #d9a566; }
.arrow { stroke: #8b95a8; stroke-width: 2; fill: none; }
.head { fill: #8b95a8; }"""


def layers() -> list[list[str]]:
    """Return the layers, the highest first, that import-linter holds the package to."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    declared = next(contract for contract in settings["contracts"] if contract["type"] == "layers")["layers"]
    return [[name.strip() for name in layer.split("|")] for layer in declared]


def files(room: str) -> list[Path]:
    """Return the files of a room or of a module at the top, a room's own first."""
    file = PACKAGE / f"{room}.py"
    return [file] if file.exists() else sorted((PACKAGE / room).rglob("*.py"), key=lambda path: (path.parent, path))


def imports(module: str) -> tuple[set[str], set[str]]:
    """Return the top modules of peculiar, and the packages of others, that a module imports, at whatever time.

    Imports for type checkers alone do not count.
    """
    own: set[str] = set()
    others: set[str] = set()
    for file in files(module):
        for name in _imported(ast.parse(file.read_text(encoding="utf-8"))):
            first, *rest = name.split(".")
            if first != "peculiar":
                others.add(first)
            elif rest:
                own.add(rest[0])
    return own - {module}, others


def _imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "peculiar":
            found |= {f"peculiar.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        else:
            found |= _imported(node)
    return found


def learning() -> set[str]:
    """Return the modules that need PyTorch as soon as they are imported or run, directly or through others."""
    names = _names()
    needs = {name: imports(name) for name in names}
    found = {name for name in names if needs[name][1] & LEARNING}
    while more := {name for name in names if needs[name][0] & found} - found:
        found |= more
    return found


def job(file: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def draw() -> str:
    """Return the picture as SVG."""
    torch = learning()
    top = 66.0
    shapes: list[str] = []
    order = _names()
    for number, layer in enumerate(layers(), 1):
        width = (WIDTH - LEFT - MARGIN - GAP * (len(layer) - 1)) / len(layer)
        boxes = {name: _text(name, width, order) for name in layer}
        height = max(len(lines) for lines in boxes.values()) * LINE + 2 * PAD
        shapes.append(f'<text class="soft" x="{MARGIN + 14}" y="{top + height / 2 + 4:.0f}">{number}</text>')
        for column, (name, lines) in enumerate(boxes.items()):
            left = LEFT + column * (width + GAP)
            side = "learn" if name in torch else "use"
            shapes.append(
                f'<rect class="{side}" x="{left:.1f}" y="{top:.0f}" width="{width:.1f}" height="{height}" rx="5"/>'
            )
            for row, (kind, line) in enumerate(lines):
                y = top + PAD + 11 + row * LINE
                shapes.append(f'<text class="{kind}" x="{left + PAD:.1f}" y="{y:.0f}">{escape(line)}</text>')
        top += height + GAP
    bottom = top - GAP
    legend = [
        f'<text x="{MARGIN}" y="26" class="name">The rooms of peculiar: imports go down only</text>',
        f'<rect class="use" x="{MARGIN}" y="38" width="14" height="14" rx="3"/>',
        f'<text x="{MARGIN + 20}" y="50">runs without PyTorch</text>',
        f'<rect class="learn" x="{MARGIN + 160}" y="38" width="14" height="14" rx="3"/>',
        f'<text x="{MARGIN + 180}" y="50">needs PyTorch, in whole or for some commands (extra train)</text>',
    ]
    arrow = [
        f'<path class="arrow" d="M{MARGIN} 66 V{bottom - 8:.0f}"/>',
        f'<path class="head" d="M{MARGIN - 5} {bottom - 10:.0f} h10 l-5 10 z"/>',
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + MARGIN:.0f}" role="img" '
        'aria-label="The layers of peculiar, and what each module imports">'
    )
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", paper, *legend, *arrow, *shapes, "</svg>", ""])


def list_modules() -> str:
    """Return the page that lists the modules, room by room."""
    parts = ["# Modules\n\nGenerated by `make docs` from the first sentence of each module's docstring.\n"]
    top = [PACKAGE / "__init__.py", *(PACKAGE / f"{name}.py" for name in sorted(_names()) if len(files(name)) == 1)]
    rooms = [(f"{name}/", files(name)) for layer in layers() for name in layer if len(files(name)) > 1]
    for title, listed in [("peculiar", top), *rooms]:
        parts.append(f"## {title}\n\n{job(listed[0])}.\n\n| module | its job |\n|---|---|")
        folder = listed[0].parent
        parts += [f"| `{file.relative_to(folder).as_posix()}` | {job(file).replace('|', '/')} |" for file in listed[1:]]
        parts[-1] += "\n"
    return "\n".join(parts)


def _names() -> list[str]:
    return [name for layer in layers() for name in layer]


def _text(name: str, width: float, order: list[str]) -> list[tuple[str, str]]:
    """Return the lines of a box, each with its class."""
    columns = int((width - 2 * PAD) / 6.2)
    own, _ = imports(name)
    own_file, *others = files(name)
    parts = [file.stem if file.stem != "__init__" else f"{file.parent.name}/" for file in others]
    told = textwrap.wrap(job(own_file).replace("`", ""), columns)
    lines = [("name", f"{name}/" if parts else name), *(("", line) for line in told)]
    if parts:
        lines += [("", line) for line in textwrap.wrap(f"files: {', '.join(parts)}", columns)]
    used = ", ".join(sorted(own, key=order.index)) or "nothing of peculiar"
    return lines + [("soft", line) for line in textwrap.wrap(f"imports {used}", columns)]


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    PAGE.write_text(list_modules(), encoding="utf-8")
