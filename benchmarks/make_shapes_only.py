"""Write the real stamps with the shapes as the only labels, to train a model that nobody told of odd galaxies.

    python benchmarks/make_shapes_only.py /tmp/untold.parquet
    peculiar train /tmp/untold.parquet --out /tmp/untold --epochs 6 --size 96
    peculiar export /tmp/untold --out /tmp/untold.onnx
    peculiar predict STAMPS --model /tmp/untold.onnx --embeddings --views 1 --out UNTOLD
    python benchmarks/score_search.py UNTOLD
    python benchmarks/score_active.py UNTOLD

STAMPS is the folder `stamps` of the real galaxies.

Galaxies without a shape are left out, and with them most odd ones. The pictures are not the project's to publish:
delete the file afterwards.
"""

import argparse
from pathlib import Path

import pyarrow.compute
import pyarrow.dataset as ds
import pyarrow.parquet

from machine import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    known = pyarrow.compute.field("clean5").is_valid()
    table = ds.dataset(data_folder() / "stamps").to_table(columns=["id", "survey", "image", "clean5"], filter=known)
    pyarrow.parquet.write_table(table, options.out)
    print(f"{table.num_rows:,} galaxies in {options.out}")


if __name__ == "__main__":
    main()
