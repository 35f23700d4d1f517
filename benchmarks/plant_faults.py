"""Copy real galaxies into a folder and plant defects of every kind among them.

    python benchmarks/plant_faults.py --data ../shared/data/stamps --out /tmp/planted --count 3000

Writes ``planted.parquet`` and ``truth.json``: the defective rows, and the rows of which others are copies. The project
may not publish the pictures: delete the folder afterwards.
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

COPIES = ("same file", "same pixels", "turned", "mirrored", "rescaled", "recentred")
BROKEN = ("unreadable", "tiny", "constant", "blank", "clipped", "off-centre")
HELD_OUT = {"validation_size": 0.1, "test_size": 0.15}


def encode(picture: Image.Image, random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(random.integers(85, 96)))
    return buffer.getvalue()


def copied(content: bytes, kind: str, number: int, random: np.random.Generator) -> bytes:
    """Return another picture of the same galaxy."""
    if kind == "same file":
        return content
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    side = picture.width
    if kind == "same pixels":
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()
    if kind == "turned":  # by any angle; every other one is cropped so that there are no empty corners
        picture = picture.rotate(float(random.uniform(0, 360)), Image.Resampling.BICUBIC)
        return encode(middle(picture, int(side / 2**0.5)) if number % 2 else picture, random)
    if kind == "mirrored":  # every other one is turned by quarters too
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return encode(picture.rotate(90 * int(random.integers(1, 4))) if number % 2 else picture, random)
    if kind == "rescaled":  # to half or double size; every other one is also cropped more closely
        picture = middle(picture, int(side * random.uniform(0.7, 0.95))) if number % 2 else picture
        width = int(picture.width * np.exp(random.uniform(-np.log(2), np.log(2))))
        return encode(picture.resize((width, width), Image.Resampling.LANCZOS), random)
    kept = int(0.8 * side)  # cropped around another point, up to a tenth of the side from the centre in each direction
    left, upper = random.integers(0, side - kept + 1, 2)
    return encode(picture.crop((left, upper, left + kept, upper + kept)), random)


def middle(picture: Image.Image, side: int) -> Image.Image:
    left = (picture.width - side) // 2
    return picture.crop((left, left, left + side, left + side))


def broken(content: bytes, kind: str, number: int, random: np.random.Generator) -> bytes:
    """Return a picture with a defect."""
    if kind == "unreadable":
        return (content[: len(content) // 3], b"", b"no picture at all", content[200:])[number % 4]
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    side = picture.width
    if kind == "tiny":
        return encode(picture.resize((int(random.integers(4, 31)),) * 2), random)
    if kind == "constant":
        return encode(Image.new("RGB", picture.size, tuple(random.integers(0, 256, 3).tolist())), random)
    pixels = np.asarray(picture).astype(float)
    if kind == "blank":  # only sky and noise
        return encode(
            Image.fromarray(random.normal(random.uniform(5, 40), 4, pixels.shape).clip(0, 255).astype(np.uint8)), random
        )
    if kind == "clipped":
        return encode(Image.fromarray((pixels * random.uniform(4, 8)).clip(0, 255).astype(np.uint8)), random)
    # The galaxy is moved by a quarter to four tenths of the side, in the direction that leaves the centre darkest,
    # because a picture with another galaxy in the centre is not off-centre. The rim fills the gap.
    wide = np.pad(np.asarray(picture), ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), mode="edge")
    tries = []
    for _ in range(20):
        distance, angle = random.uniform(0.25, 0.4) * side, random.uniform(0, 2 * np.pi)
        upper, left = side // 2 - round(distance * np.sin(angle)), side // 2 - round(distance * np.cos(angle))
        cut = wide[upper : upper + side, left : left + side]
        fifth = slice(2 * side // 5, 3 * side // 5)
        tries.append((float(cut[fifth, fifth].mean(axis=2).max()), upper, left))
    _, upper, left = min(tries)
    return encode(Image.fromarray(wide[upper : upper + side, left : left + side]), random)


def plant(data: Path, out: Path, *, count: int, each: int, label: str, flipped: float, seed: int) -> None:
    from peculiar.sources.split import part_of

    random = np.random.default_rng(seed)
    parts = sorted(data.glob("*.parquet")) if data.is_dir() else [data]
    rows = pa.concat_tables([pa.parquet.read_table(part, columns=["id", "image", label]) for part in parts]).to_pylist()
    # Labels are flipped among galaxies that the model was not trained on, whose embeddings it cannot have memorised.
    chosen = np.sort(random.permutation(len(rows))[:count])
    galaxies = [(rows[row]["id"], rows[row]["image"]["bytes"], rows[row][label]) for row in chosen]
    picked = random.permutation(count)[: each * (len(COPIES) + len(BROKEN))].reshape(-1, each).tolist()
    truth: dict[str, list[list[str]] | list[str]] = {}
    for kind, some in zip((*COPIES, *BROKEN), picked, strict=True):
        make, planted = (copied if kind in COPIES else broken), []
        for number, row in enumerate(some):
            id_, content, given = galaxies[row]
            name = f"{kind.replace(' ', '-')}-{number}"
            planted.append([id_, name] if kind in COPIES else name)
            # A galaxy is in the same part as its copies; otherwise the model would know its label.
            galaxies.append((name, make(content, kind, number, random), given))
        truth[kind] = planted
    held_out = [row for row in range(count) if galaxies[row][2] and part_of(galaxies[row][0], **HELD_OUT) == "test"]
    answers = sorted({str(galaxies[row][2]) for row in held_out})
    wrong = random.permutation(held_out)[: round(flipped * len(held_out))]
    for row in wrong:
        id_, content, given = galaxies[row]
        galaxies[row] = (id_, content, str(random.choice([answer for answer in answers if answer != given])))
    truth["flipped"] = [galaxies[row][0] for row in wrong]
    truth["held out"] = [galaxies[row][0] for row in held_out]
    out.mkdir(parents=True, exist_ok=True)
    order = random.permutation(len(galaxies))
    table = [dict(zip(("id", "image", label), galaxies[row], strict=True)) for row in order]
    for row in table:
        row["image"] = {"bytes": row["image"], "path": None}
    pa.parquet.write_table(pa.Table.from_pylist(table), out / "planted.parquet")
    (out / "truth.json").write_text(json.dumps(truth))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/stamps"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--label", default="clean5")
    parser.add_argument("--flipped", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=222)
    arguments = parser.parse_args()
    plant(
        arguments.data,
        arguments.out,
        count=arguments.count,
        each=arguments.each,
        label=arguments.label,
        flipped=arguments.flipped,
        seed=arguments.seed,
    )
