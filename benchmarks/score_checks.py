"""Measure how many planted defects the checks find, how many reported pairs are false, and the time.

    python benchmarks/score_checks.py --data ../shared/data/stamps --count 3000

Defects are planted by `plant_faults.py` in a temporary folder, which is deleted at the end. `--count 31683` takes all.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from machine import describe
from peculiar.checks.check import check
from plant_faults import BROKEN, COPIES, plant


def score(folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    started = time.perf_counter()
    stages: dict[str, float] = {}

    def progress(stage: str, done: int) -> None:
        stages[stage] = time.perf_counter() - started

    found = check(folder / "planted.parquet", progress=progress)
    describe("scikit-learn", "cleanlab")
    ends = ", ".join(f"{stage} until {end:.0f} s" for stage, end in stages.items())
    print(f"{len(found.ids):,} pictures in {found.seconds:.0f} s: {ends}")
    broken = {found.ids[one.rows[0]]: one.kind for one in found.findings if one.kind in {"unreadable", *BROKEN}}
    for kind in BROKEN:
        named = [broken.get(id_) for id_ in truth[kind]]
        print(
            f"{kind:12} found {sum(one is not None for one in named)} of {len(named)}, by its name {named.count(kind)}"
        )
    planted = {id_ for kind in BROKEN for id_ in truth[kind]}
    others = {id_: kind for id_, kind in broken.items() if id_ not in planted}
    print(f"broken beyond those: {len(others)} of {len(found.ids) - len(planted)}")
    pairs: dict[frozenset[str], str] = {}
    for kind in ("same file", "same pixels", "near duplicate"):
        for one in found.of(kind):
            names = [found.ids[row] for row in one.rows]
            pairs |= {frozenset((a, b)): one.text for a in names for b in names if a != b}
    expected = {frozenset(pair): kind for kind in COPIES for pair in truth[kind]}
    for kind in COPIES:
        hit = sum(frozenset(pair) in pairs for pair in truth[kind])
        print(f"{kind:12} found {hit} of {len(truth[kind])}")
    # Copies of defective or copied pictures also belong to them.
    beyond = [(sorted(pair), text) for pair, text in pairs.items() if pair not in expected]
    print(f"pairs that were not planted: {len(beyond)} of {len(pairs)} (look at them: the data hold true ones too)")
    for names, text in beyond[:30]:
        print("  ", *names, text)
    held_out = set(truth["held out"])
    ranking = [found.ids[one.row] for one in found.ranking if found.ids[one.row] in held_out]
    flipped = set(truth["flipped"])
    for name, order in (("those held out", ranking), ("all", [found.ids[one.row] for one in found.ranking])):
        top = set(order[: len(order) // 10])
        print(f"flipped labels in the top tenth of {name} ({len(order):,}): {len(flipped & top)} of {len(flipped)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/stamps"))
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--label", default="clean5")
    parser.add_argument("--seed", type=int, default=222)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        plant(
            arguments.data,
            Path(temporary),
            count=arguments.count,
            each=arguments.each,
            label=arguments.label,
            flipped=0.05,
            seed=arguments.seed,
        )
        score(Path(temporary))
