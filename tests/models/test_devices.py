"""The device that a network runs on, with faked lists of providers: no test needs a GPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest

from peculiar.catalogs.classification import Classification, Settings
from peculiar.errors import UnknownNameError, UsageError
from peculiar.models.devices import choose, lacks_memory, using
from peculiar.models.model_file import load_model

CUDA, CPU, DML = "CUDAExecutionProvider", "CPUExecutionProvider", "DmlExecutionProvider"

Having = Callable[..., None]


@pytest.fixture
def having(monkeypatch: pytest.MonkeyPatch) -> Having:
    """Let ONNX Runtime list some providers."""

    def pretend(*providers: str) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(providers))

    return pretend


class Session:
    """A session that says where it runs, has memory for few pictures, and otherwise is a real one."""

    def __init__(self, real: Any, runs_on: str, most: int = 1000) -> None:
        self.real, self.runs_on, self.most, self.sizes = real, runs_on, most, list[int]()

    def get_providers(self) -> list[str]:
        return [self.runs_on]

    def run(self, outputs: None, inputs: dict[str, Any]) -> Any:
        self.sizes.append(len(inputs["pictures"]))
        if self.sizes[-1] > self.most:
            raise RuntimeError("[ONNXRuntimeError] : Failed to allocate memory for requested buffer of size 1")
        return self.real.run(outputs, inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let sessions run on the device of ``runs_on``, whatever was asked for; ``providers`` are those asked for."""
    told: dict[str, Any] = {"runs_on": CPU, "most": 1000}
    real = onnxruntime.InferenceSession

    def open_session(content: bytes, options: Any, providers: list[str]) -> Session:
        told["providers"] = providers
        told["session"] = Session(real(content, options, providers=[CPU]), told["runs_on"], told["most"])
        return told["session"]  # type: ignore[no-any-return]

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    return told


@pytest.mark.parametrize(
    ("providers", "asked", "name", "reason"),
    [
        ((CPU,), "auto", "cpu", "no provider for a GPU"),
        ((CUDA, CPU), "auto", "cuda", CUDA),
        ((DML, CPU), "auto", "directml", DML),
        (("CoreMLExecutionProvider", "OpenVINOExecutionProvider", CPU), "auto", "cpu", "no provider for a GPU"),
        (("CoreMLExecutionProvider", CPU), "coreml", "coreml", "asked for"),
        ((CUDA, CPU), "cpu", "cpu", "asked for"),
        ((CUDA, CPU), "CUDA", "cuda", "asked for"),
    ],
)
def test_the_device_follows_from_what_is_installed(
    providers: tuple[str, ...], asked: str, name: str, reason: str, having: Having
) -> None:
    having(*providers)
    device = choose(asked)
    assert device.name == name
    assert reason in str(device)
    assert device.provider in providers
    assert device.batch_size == (32 if name == "cpu" else 256)


def test_a_device_that_is_not_there_is_refused_by_name(having: Having) -> None:
    having(CPU)
    with pytest.raises(UsageError, match=r"device cuda .*onnxruntime-gpu.*installed are: cpu"):
        choose("cuda")
    with pytest.raises(UnknownNameError, match=r"there is no device 'cdua'. Did you mean 'cuda'"):
        choose("cdua")
    with pytest.raises(UsageError, match="device cuda"):
        load_model(device="cuda")


def test_a_command_s_device_holds_until_its_end(having: Having) -> None:
    having(CUDA, CPU)
    with using("cpu"):
        assert choose().name == "cpu"
        assert choose("cuda").name == "cuda"
    assert choose().name == "cuda"
    with pytest.raises(UsageError), using("rocm"):
        pass
    assert choose().name == "cuda"


def test_a_model_runs_on_the_chosen_device_and_says_so(having: Having, opened: dict[str, Any]) -> None:
    having(CUDA, CPU)
    opened["runs_on"] = CUDA
    model = load_model()
    assert opened["providers"] == [CUDA, CPU]
    assert model.device.name == "cuda"
    assert model.with_card(model.card).device.name == "cuda"
    assert load_model(device="cpu").device.name == "cpu"
    assert opened["providers"] == [CPU]


def test_a_provider_without_a_gpu_gives_way_to_the_processor_unless_it_was_asked_for(
    having: Having, opened: dict[str, Any]
) -> None:
    having(CUDA, CPU)
    device = load_model().device
    assert device.name == "cpu"
    assert "found no device" in device.reason
    with pytest.raises(UsageError, match="found no device or driver"):
        load_model(device="cuda")
    with using("cuda"), pytest.raises(UsageError, match="found no device or driver"):
        load_model()


def test_batches_shrink_to_the_memory_of_the_device_and_answers_stay(opened: dict[str, Any]) -> None:
    pictures = np.random.default_rng(222).integers(0, 255, (10, 128, 128, 3), np.uint8)
    whole = load_model().classify(pictures, views=1, framed=True)
    opened["most"] = 3
    model = load_model()
    opened["session"].sizes.clear()
    for _ in range(2):
        parts = model.classify(pictures, views=1, framed=True)
        np.testing.assert_array_equal(parts.embedding, whole.embedding)
        np.testing.assert_array_equal(parts.probabilities["four_class"], whole.probabilities["four_class"])
    assert opened["session"].sizes == [10, 5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    opened["session"].most = 0
    with pytest.raises(RuntimeError, match="Failed to allocate"):
        model.classify(pictures, views=1, framed=True)


def test_only_a_lack_of_memory_makes_batches_smaller() -> None:
    assert lacks_memory(MemoryError())
    assert lacks_memory(RuntimeError("CUDA failure 2: out of memory ; GPU=0"))
    assert not lacks_memory(RuntimeError("Got invalid dimensions for input"))


def test_a_catalogue_of_another_device_is_another_run(having: Having, opened: dict[str, Any]) -> None:
    having(CUDA, CPU)
    on_cpu = load_model(device="cpu")
    opened["runs_on"] = CUDA
    on_gpu = load_model()
    settings = [Classification(one, Settings(one.framing, 1, False)).settings() for one in (on_cpu, on_gpu)]
    assert "device" not in settings[0]
    assert settings[1] == settings[0] | {"device": "cuda"}


@pytest.mark.parametrize("line", ["predict x.npz", "evaluate x.npz", "teach x.npz", "search similar c.parquet"])
def test_commands_refuse_a_missing_device_first(
    line: str, having: Having, peculiar_command: Callable[..., tuple[int, str, str]]
) -> None:
    having(CPU)
    status, _, said = peculiar_command(*line.split(), "--device", "cuda")
    assert status == 2
    assert "the device cuda cannot be used" in said


def test_info_says_which_device_would_be_used_and_why(
    having: Having, peculiar_command: Callable[..., tuple[int, str, str]]
) -> None:
    having(CUDA, CPU)
    status, told, _ = peculiar_command("info")
    assert status == 0
    assert f"cuda ({CUDA} is installed)" in told
    assert "cuda, cpu" in told
