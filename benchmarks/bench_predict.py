"""Measure native 424-px JPEGs to a catalogue with the model that ships, against DataLoader and ConvNeXt-nano.

The alternative is what a user of Zoobot does on a CPU: a folder of JPEGs, a PyTorch DataLoader with one worker per
core, pictures resized to 224 px, timm's ConvNeXt-nano (the smallest encoder that Zoobot offers). timm is installed into
a temporary folder.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from machine import data_folder, describe, make_parser, record
from peculiar.catalogs.predict import predict
from peculiar.models.model_file import cores, load_model
from peculiar.sources import open_source

COPIES, PLAIN_COUNT = 2, 256

PLAIN = """
import sys, time, pathlib
import torch
library = torch.library.Library("torchvision", "DEF")  # the wheel for processors lacks its compiled operators
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import timm
from PIL import Image
from torchvision import transforms

class Folder(torch.utils.data.Dataset):
    def __init__(self, folder, count):
        self.files = sorted(pathlib.Path(folder).glob("*.jpg"))[:count]
        self.transform = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])
    def __len__(self):
        return len(self.files)
    def __getitem__(self, row):
        return self.transform(Image.open(self.files[row]).convert("RGB"))

folder, count = sys.argv[1], int(sys.argv[2])
net = timm.create_model("convnext_nano", num_classes=4).eval()
loader = torch.utils.data.DataLoader(Folder(folder, count), batch_size=64, num_workers=torch.get_num_threads())
started = time.perf_counter()
with torch.inference_mode():
    answers = torch.cat([net(pictures).softmax(1) for pictures in loader])
print(len(answers) / (time.perf_counter() - started))
"""


def plain_rate(folder: Path, scratch: Path) -> float:
    target = scratch / "timm"
    packages = ("timm", "huggingface_hub", "torchvision", "pyyaml")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", target, *packages],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN, folder, str(PLAIN_COUNT)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(target)},
    )
    return float(done.stdout.split()[-1])


def timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    make_parser(__doc__).parse_args()
    machine = describe("onnxruntime", "torch", "pillow", "numpy")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        for row in open_source(data_folder() / "odd_native.parquet").rows():
            for copy in range(COPIES):
                (folder / f"{row.id}-{copy}.jpg").write_bytes(row.content)
        source, model, workers = open_source(folder), load_model(), cores()
        count = len(source)
        some = np.stack([one.picture for one, _ in zip(source.galaxies(model.framing), range(640), strict=False)])
        rates: dict[str, list[float]] = {"catalogue": [], "decoding and framing alone": [], "the network alone": []}
        for _ in range(3):
            rates["decoding and framing alone"].append(
                count / timed(lambda: sum(1 for _ in source.galaxies(model.framing)))
            )
            rates["the network alone"].append(
                len(some)
                / timed(
                    lambda: [model.classify(some[start : start + 64], framed=True) for start in range(0, len(some), 64)]
                )
            )
            rates["catalogue"].append(
                count / timed(lambda: predict(source, Path(scratch) / "c.parquet", model, workers=workers))
            )
        best = {name: max(values) for name, values in rates.items()}
        # Both use all cores, so together they take the sum of their times.
        allowed = 1 / (1 / best["decoding and framing alone"] + 1 / best["the network alone"])
        plain = plain_rate(folder, Path(scratch))
        command = [sys.executable, "-m", "peculiar", "predict", str(next(folder.glob("*.jpg"))), "--out", "c.parquet"]
        first = min(
            timed(lambda: subprocess.run(command, check=True, cwd=scratch, capture_output=True)) for _ in range(3)
        )
    record(
        machine,
        *((name, value, "pictures/s") for name, value in best.items()),
        ("DataLoader and ConvNeXt-nano at 224 px", plain, "pictures/s"),
        ("catalogue over DataLoader and ConvNeXt-nano", best["catalogue"] / plain, "times"),
        ("catalogue over what its parts allow", best["catalogue"] / allowed, "times"),
        ("one picture on the command line, start to catalogue", first, "s"),
    )


if __name__ == "__main__":
    main()
