"""Measure the exercise with peculiar against its own tf.keras script, alternating: 8 epochs, batch 5, two cores.

TensorFlow is installed into a separate environment (--environment) on first use. If peculiar has never trained on this
machine, numba compiles in the first run.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from machine import data_folder, describe, make_parser, record

HERE = Path(__file__).parent


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--environment", type=Path, default=Path(".venv-tensorflow"), help="TensorFlow's own")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[222, 223, 224])
    arguments = parser.parse_args()
    machine = describe("numba", "numpy")
    python = arguments.environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", arguments.environment], check=True)
        packages = ["tensorflow-cpu", "scikit-learn", "pillow", "scipy"]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    results: dict[str, list[dict[str, float]]] = {"tensorflow": [], "peculiar": []}
    for seed in arguments.seeds:
        for name, interpreter in (("tensorflow", python), ("peculiar", sys.executable)):
            script = HERE / f"exercise_{name}.py"
            command = [interpreter, script, data_folder() / "galaxydata.npz", str(arguments.epochs), str(seed)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(name, seed, results[name][-1])

    def median(name: str, key: str) -> float:
        return statistics.median(one[key] for one in results[name])

    rows = []
    for key, what in (("training_s", f"{arguments.epochs} epochs"), ("total_s", "whole script")):
        theirs, ours = median("tensorflow", key), median("peculiar", key)
        rows += [
            (f"{what}, tf.keras", theirs, "s"),
            (f"{what}, peculiar", ours, "s"),
            (f"{what}, ratio", theirs / ours, "times"),
        ]
    for key in ("val_accuracy", "val_auc"):
        rows += [(f"{key}, {name}", median(name, key), "") for name in results]
    record(machine, *rows)


if __name__ == "__main__":
    main()
