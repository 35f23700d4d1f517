"""Run the exercise with peculiar, and print its figures as JSON on the last line. Called by `bench_train.py`."""

import json
import sys
import tempfile
import time
from pathlib import Path

started = time.perf_counter()


from peculiar.exercise.run_folder import Arguments
from peculiar.exercise.train import train
from peculiar.images.decode import Framing
from peculiar.sources import open_source
from peculiar.sources.dataset import read_dataset

imported = time.perf_counter()
data = read_dataset(open_source(sys.argv[1]), Framing())
ready = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    trained = train(data, Path(folder) / "run", Arguments(epochs=int(sys.argv[2]), seed=int(sys.argv[3])))
done = time.perf_counter()
last = trained.history[-1]
print(
    json.dumps(
        {
            "import_s": imported - started,
            "epochs_s": sum(line["seconds"] for line in trained.history),
            "training_s": done - ready,
            "total_s": done - started,
            "val_accuracy": last["val_categorical_accuracy"],
            "val_auc": last["val_auc"],
        }
    )
)
