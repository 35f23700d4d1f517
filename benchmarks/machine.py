"""What every benchmark says of itself: machine, versions, commit; and the row it adds to `results.csv`."""

import csv
import datetime
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("results.csv")
COLUMNS = ("date", "commit", "command", "machine", "what", "value", "unit")


def data_folder() -> Path:
    """The folder of real galaxies."""
    folder = Path(os.environ.get("PECULIAR_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "galaxydata.npz").is_file():
        sys.exit("this benchmark needs real galaxies: set PECULIAR_DATA to the folder that holds galaxydata.npz")
    return folder


def describe(*packages: str) -> str:
    """Print and return what the figures were measured on."""
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
    """Print figures, and add them to `results.csv` as (what, value, unit)."""
    # A path of this machine says nothing elsewhere: the name will do.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        for what, value, unit in rows:
            print(f"{what:50} {value:10.3f} {unit}")
            writer.writerow(
                [datetime.datetime.now(datetime.UTC).date(), COMMIT, command, machine, what, round(value, 3), unit]
            )


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    return done.stdout.strip()


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    # The rows that earlier benchmarks added change nothing of what is measured.
    return commit + "-dirty" if _git("status", "--porcelain", "--", ":/", f":!{RESULTS.name}") else commit


# As a benchmark begins: work may go on while it runs.
COMMIT = _commit()
