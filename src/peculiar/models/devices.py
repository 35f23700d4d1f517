"""The device that a network runs on: the processor, or a GPU for which ONNX Runtime has a provider."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import onnxruntime

from peculiar.errors import UnknownNameError, UsageError

AUTO, CPU = "auto", "cpu"

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    CPU: "CPUExecutionProvider",
}
"""ONNX Runtime's providers by device, in the order in which they are tried."""

_AUTOMATIC = ("cuda", "migraphx", "rocm", "directml")
"""Devices that ``auto`` may choose. The others need models that are made for them."""

_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "openvino": "onnxruntime-openvino"}

CPU_BATCH, GPU_BATCH = 32, 256
"""Number of pictures per batch; a GPU that lacks the memory gets fewer."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device, and why it was chosen.

    Parameters
    ----------
    name : str
        "cpu", "cuda".
    reason : str
    """

    name: str
    reason: str

    @property
    def provider(self) -> str:
        """Name of ONNX Runtime's provider."""
        return PROVIDERS[self.name]

    @property
    def batch_size(self) -> int:
        """Number of pictures per batch, if the user states none."""
        return CPU_BATCH if self.name == CPU else GPU_BATCH

    def __str__(self) -> str:
        """Return the name with the reason."""
        return f"{self.name} ({self.reason})"


class _Wanted:
    """The device that `using` states, for all threads of the process."""

    name = AUTO


def devices() -> list[str]:
    """Return the names of the devices for which a provider is installed."""
    there = set(onnxruntime.get_available_providers())
    return [name for name, provider in PROVIDERS.items() if provider in there]


@contextmanager
def using(name: str) -> Iterator[None]:
    """Let models that are opened within the block run on a device, which is checked first."""
    choose(name)
    before, _Wanted.name = _Wanted.name, name
    try:
        yield
    finally:
        _Wanted.name = before


def choose(name: str | None = None) -> Device:
    """Return a device of this machine.

    Parameters
    ----------
    name : str, optional
        "auto" takes a GPU for which a provider is installed, otherwise the processor. Default: what `using` states, or
        "auto".

    Raises
    ------
    UnknownNameError
        If there is no device of this name.
    UsageError
        If its provider is not installed.
    """
    name = (_Wanted.name if name is None else name).lower()
    if name not in (AUTO, *PROVIDERS):
        raise UnknownNameError("device", name, (AUTO, *PROVIDERS))
    there = set(onnxruntime.get_available_providers())
    if name == AUTO:
        found = next((one for one in _AUTOMATIC if PROVIDERS[one] in there), None)
        if found is None:
            return Device(CPU, "no provider for a GPU is installed")
        return Device(found, f"{PROVIDERS[found]} is installed")
    if PROVIDERS[name] not in there:
        package = f" (pip install {_PACKAGES[name]} in place of onnxruntime)" if name in _PACKAGES else ""
        message = (
            f"the device {name} cannot be used: this ONNX Runtime has no {PROVIDERS[name]}{package}; installed are: "
            f"{', '.join(devices())}"
        )
        raise UsageError(message)
    return Device(name, "as asked for")


def settled(device: Device, session: onnxruntime.InferenceSession, *, asked: str | None = None) -> Device:
    """Return the device that a session really runs on: a provider may be installed where there is no GPU.

    Raises
    ------
    UsageError
        If the device was asked for by name, and the session runs on the processor.
    """
    if device.name == CPU or session.get_providers()[:1] == [device.provider]:
        return device
    if (_Wanted.name if asked is None else asked).lower() == AUTO:
        return Device(CPU, f"{device.provider} is installed, but found no device or driver that it can use")
    message = (
        f"the device {device.name} cannot be used: {device.provider} is installed, but found no device or driver; "
        "check the driver and its libraries, or leave out --device"
    )
    raise UsageError(message)


def lacks_memory(error: Exception) -> bool:
    """Return whether an error of ONNX Runtime says that the device has too little memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("out of memory", "failed to allocate", "bad_alloc", "alloc_failed", "bfc_arena")
    )
