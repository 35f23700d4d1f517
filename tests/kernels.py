"""Run the tests as other processors compute, in five random orders.

    python tests/kernels.py [pytest's arguments]

OpenBLAS, NumPy, PyTorch, oneDNN and MKL choose their kernels by the processor, and sums come out otherwise in the last
digits. Each round below takes from them what a lesser or another processor lacks.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

NEWER = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
"""Instructions that NumPy would use here beyond its baseline, the least demanding first."""

ROUNDS: Mapping[str, Mapping[str, str]] = {
    "as this processor is, one thread": {"OMP_NUM_THREADS": "1"},
    "as this processor is, two threads": {"OMP_NUM_THREADS": "2"},
    "AMD with AVX2": {
        "OPENBLAS_CORETYPE": "Zen",
        "NPY_DISABLE_CPU_FEATURES": " ".join(NEWER[1:]),
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "Intel with AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(NEWER[1:]),
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OMP_NUM_THREADS": "1",
    },
    "without AVX": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": " ".join(NEWER),
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}


def main() -> int:
    worst = 0
    for seed, (name, settings) in enumerate(ROUNDS.items(), start=1):
        print(f"\n== {name}; random order {seed}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not slow", f"--randomly-seed={seed}"]
        worst |= subprocess.run([*command, *sys.argv[1:]], env={**os.environ, **settings}).returncode
    return worst


if __name__ == "__main__":
    sys.exit(main())
