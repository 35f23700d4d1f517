"""Peak memory of a program with its child processes."""

import threading
import time
from pathlib import Path


class Memory(threading.Thread):
    """Recorder of the peak memory of a process and its children, in MiB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.highest = pid, {}

    def run(self) -> None:
        while Path(f"/proc/{self.pid}").exists():
            for process in self._family():
                try:
                    status = Path(f"/proc/{process}/status").read_text()
                    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
                except (OSError, StopIteration):
                    continue
                self.highest[process] = max(self.highest.get(process, 0), peak / 1024)
            time.sleep(0.2)

    def _family(self) -> list[int]:
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        family = [self.pid]
        for process in family:
            family += [child for child, parent in parents.items() if parent == process]
        return family
