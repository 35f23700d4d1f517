"""Write the real stamps with the shapes as the only labels, to train a model that has never seen the label `odd`.

    python benchmarks/make_shapes_only.py /tmp/shapes.parquet
    peculiar train /tmp/shapes.parquet --out /tmp/shapes --epochs 6 --size 96
    peculiar export /tmp/shapes --out /tmp/shapes.onnx
    peculiar predict STAMPS --model /tmp/shapes.onnx --embeddings --views 1 --out SHAPES
    python benchmarks/score_search.py SHAPES
    python benchmarks/score_active.py SHAPES

STAMPS is the folder `stamps` of the real galaxies.

Galaxies without a shape are left out, and with them most odd ones. The project may not publish the pictures: delete the
file afterwards.
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
