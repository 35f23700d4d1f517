"""Four families of timm from training to explanation: on the command line, the latter half without PyTorch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from peculiar.images.decode import encode_picture
from peculiar.models.model_file import load_model
from peculiar.questions.question import CLEAN5
from peculiar.training.build import load_net
from peculiar.training.recipe import read_notes, read_record
from peculiar.training.weights import to_input
from pictures import draw_galaxy
from timm_here import require_timm

COUNT = 240
SETTINGS = "--from scratch --size 64 --epochs 2 --batch-size 32"

# Runs commands in a process in which nothing that training needs can be imported.
WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "timm", "torchvision", "accelerate", "safetensors"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from peculiar.cli import main

for line in sys.argv[1:]:
    sys.argv = ["peculiar", *line.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy pictures with a galaxy in the middle, round or edge-on."""
    random, path = np.random.default_rng(222), tmp_path_factory.mktemp("stamps") / "stamps.parquet"
    rows = []
    for row in range(COUNT):
        noise = random.integers(0, 120, (48, 48, 3))
        galaxy = draw_galaxy(48, 12, 24, 24, seed=row, ratio=(1.0, 0.3)[row % 2])
        picture = np.clip(noise + galaxy.astype(int), 0, 255).astype(np.uint8)
        answer = CLEAN5.answers[(0, 3)[row % 2]]
        rows.append({"id": f"s{row}", "image": {"bytes": encode_picture(picture)}, "clean5": answer})
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "test_resnet", "test_vit"])
def test_a_family_from_training_to_explanation(name: str, stamps: Path, peculiar_command: Any) -> None:
    require_timm()
    for words in (
        f"train {stamps} --label clean5 --net timm:{name} {SETTINGS} --out run",
        "export run --out raw.onnx",
        f"calibrate {stamps} --model raw.onnx --out model.onnx",
    ):
        status, _, said = peculiar_command(*words.split())
        assert status == 0, said
    net, size = load_net(Path("run"), read_record(Path("run"))), load_model("model.onnx").framing.size
    pictures = np.random.default_rng(1).integers(0, 256, (6, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = net(to_input(torch.from_numpy(pictures), torch.device("cpu")))["clean5"]
    expected = torch.softmax(logits / read_notes(Path("run"))["temperatures"]["clean5"], dim=1).numpy()
    found = load_model("raw.onnx").classify(pictures, views=1, framed=True).probabilities["clean5"]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert load_model("model.onnx").card.sets["clean5"]
    survey = pa.parquet.read_table(stamps)
    labels = zip(survey["id"].to_pylist(), survey["clean5"].to_pylist(), strict=True)
    Path("labels.csv").write_text("id,flat\n" + "".join(f"{id_},{kind == 'edge_on'}\n" for id_, kind in labels))
    commands = (
        f"predict {stamps} --model model.onnx --embeddings --out catalog.parquet",
        f"evaluate {stamps} --label clean5 --model model.onnx --part test --out evaluation",
        "teach labels.csv --catalog catalog.parquet --model model.onnx --out taught.onnx",
        f"explain {stamps} --model model.onnx --count 1 --out explained",
    )
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(pa.parquet.read_table("catalog.parquet")) == COUNT
    assert Path("explained/galaxy_1.png").is_file()
    assert load_model("taught.onnx").card.about == "flat"
