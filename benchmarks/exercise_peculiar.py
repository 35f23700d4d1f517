"""Run the exercise with peculiar, and print its figures as JSON on the last line. Called by `bench_train.py`."""

import json
import sys
import tempfile
import time
from pathlib import Path

started = time.perf_counter()


from peculiar.exercise.run_folder import Arguments, Record
from peculiar.exercise.train import EpochLines, train

imported = time.perf_counter()


class Started(EpochLines):
    """Notes when pictures are read and split and the network is made, as `ready` in the tf.keras script."""

    def begin(self, record: Record, summary: str) -> None:
        self.at = time.perf_counter()
        super().begin(record, summary)


started_training = Started()
arguments = Arguments(epochs=int(sys.argv[2]), seed=int(sys.argv[3]))
with tempfile.TemporaryDirectory() as folder:
    trained = train(sys.argv[1], Path(folder) / "run", arguments, watcher=started_training)
done = time.perf_counter()
last = trained.history[-1]
print(
    json.dumps(
        {
            "import_s": imported - started,
            "epochs_s": sum(line["seconds"] for line in trained.history),
            "training_s": done - started_training.at,
            "total_s": done - started,
            "val_accuracy": last["val_categorical_accuracy"],
            "val_auc": last["val_auc"],
        }
    )
)
