"""Print machine, versions and figures of a benchmark; add them to `results.csv` with `--record`."""

import argparse
import csv
import datetime
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("results.csv")
_RECORD = "--record"
COLUMNS = ("date", "commit", "command", "machine", "what", "value", "unit")


def make_parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser with the common option of all benchmarks; the first line of `doc` describes the benchmark."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        _RECORD, action="store_true", help="add the figures to results.csv, which docs/models.md is made of"
    )
    return parser


def data_folder() -> Path:
    """Return the folder of real galaxies."""
    folder = Path(os.environ.get("PECULIAR_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "galaxydata.npz").is_file():
        sys.exit("this benchmark needs real galaxies: set PECULIAR_DATA to the folder that holds galaxydata.npz")
    return folder


def describe(*packages: str) -> str:
    """Print and return a description of the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    machine = f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    print(machine)
    return machine


def record(machine: str, *rows: tuple[str, float, str]) -> None:
    """Print figures (what, value, unit), and with `--record` add them to `results.csv`."""
    for what, value, unit in rows:
        print(f"{what:50} {value:10.3f} {unit}")
    if _RECORD not in sys.argv[1:]:
        return
    # A path of this machine is meaningless elsewhere, so only the name is recorded.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:] if word != _RECORD]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
    today = datetime.datetime.now(datetime.UTC).date()
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerows([today, COMMIT, command, machine, what, round(value, 3), unit] for what, value, unit in rows)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    return done.stdout.strip()


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    # Rows added by earlier benchmarks do not affect the measurement.
    return commit + "-dirty" if _git("status", "--porcelain", "--", ":/", f":!{RESULTS.name}") else commit


# Determined when a benchmark starts, because the checkout may change while it runs.
COMMIT = _commit()
