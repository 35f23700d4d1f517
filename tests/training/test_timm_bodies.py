"""Encoders of timm as bodies: their size and normalisation, blocks, first weights, and files that would run code."""

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from peculiar.errors import DownloadError, MissingExtraError, ModelError, NotFoundError, UnknownNameError, UsageError
from peculiar.files import run_files
from peculiar.images.decode import encode_picture
from peculiar.questions.question import CLEAN5
from peculiar.training.build import load_net
from peculiar.training.encoder_weights import first_weights, name_of, read_state
from peculiar.training.networks.blocks import block_numbers, freeze, recompute, speeds
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.networks.timm_body import TimmBody, look_up
from peculiar.training.optimizer import make_optimizer
from peculiar.training.recipe import Recipe, make_recipe, read_record
from peculiar.training.train import train
from timm_here import require_timm

FAMILIES = ("test_convnext", "test_efficientnet", "test_resnet", "test_vit")


@pytest.fixture(autouse=True)
def _with_timm() -> None:
    require_timm()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's client know that there is no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def untouched() -> Iterator[None]:
    """Fail if a run was begun."""
    yield
    assert not Path("run").exists()


@pytest.fixture
def different(tmp_path: Path) -> Path:
    """Eighty pictures of noise, brighter in every other; comparing those of `tiny_survey` would take long."""
    random, path = np.random.default_rng(222), tmp_path / "noise.parquet"
    rows = [
        {
            "id": f"n{row}",
            "image": {"bytes": encode_picture(random.integers(0, 100 + 80 * (row % 2), (32, 32, 3), np.uint8))},
            "clean5": CLEAN5.answers[row % 2],
        }
        for row in range(80)
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def noise(side: int = 32, count: int = 2) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(222))


def body_of(name: str, size: int = 32) -> TimmBody:
    torch.manual_seed(222)
    return TimmBody(name, size)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_body_normalises_as_its_encoder_was_trained(name: str) -> None:
    body = body_of(name).eval()
    told = body.net.pretrained_cfg
    mean, std = (torch.tensor(told[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        found = body(noise())
        torch.testing.assert_close(found, body.net((noise() - mean) / std))
    assert found.shape == (2, body.features)
    net = GalaxyNet({"one": 3}, body=body).eval()
    with torch.inference_mode():
        torch.testing.assert_close(net.embed(noise()), found)


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_are_counted_from_the_picture_on(name: str) -> None:
    body = body_of(name)
    numbers = block_numbers(body)
    assert numbers.keys() == {key for key, _ in body.named_parameters()}
    assert set(numbers.values()) == set(range(max(numbers.values()) + 1))
    assert next(iter(dict(body.named_parameters()))) in [key for key, number in numbers.items() if number == 0]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_frozen_blocks_and_their_statistics_do_not_change(name: str) -> None:
    net = GalaxyNet({"one": 3}, body=body_of(name))
    numbers = {f"body.{key}": number for key, number in block_numbers(net.body).items()}
    freeze(net, 2)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = make_optimizer(net.train(), Recipe(learning_rate=0.1))
    net(noise(count=4))["one"].square().sum().backward()
    optimizer.step()
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert {number for key, number in numbers.items() if key in changed} == set(range(2, max(numbers.values()) + 1))
    counted = {key.rpartition(".")[0] for key in changed if key.endswith("running_mean")}
    assert all(numbers[f"{key}.weight"] >= 2 for key in counted)
    assert bool(counted) == (name == "test_resnet")
    with pytest.raises(UsageError, match=r"--freeze 99: the body has \d+ blocks; give fewer, or 'all'"):
        freeze(net, 99)
    freeze(net, None)
    assert {key for key, one in net.named_parameters() if one.requires_grad} == {"heads.0.weight", "heads.0.bias"}


def test_earlier_blocks_learn_more_slowly() -> None:
    net = GalaxyNet({"one": 3}, body=body_of("test_vit"))
    found, numbers = speeds(net, 0.5), block_numbers(net.body)
    last = max(numbers.values())
    assert all(found[f"body.{name}"] == 0.5 ** (last - number) for name, number in numbers.items())
    groups = make_optimizer(net, Recipe(layer_decay=0.5)).param_groups
    assert {group["speed"] for group in groups} == {*found.values(), 4.0}
    assert speeds(net, 1.0) == {}


@pytest.mark.parametrize("body", ["lite", "test_convnext"])
def test_maps_that_are_computed_again_give_the_same_gradients(body: str) -> None:
    gradients = []
    for again in (False, True):
        torch.manual_seed(222)
        net = GalaxyNet({"one": 3}, 8, body if body == "lite" else body_of(body)).train()
        if again:
            recompute(net)
        torch.manual_seed(1)
        net(noise())["one"].square().sum().backward()
        gradients.append({name: one.grad for name, one in net.named_parameters() if one.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def _safetensors(state: dict[str, Tensor], path: Path) -> None:
    save_file(state, path)


def _lightning(state: dict[str, Tensor], path: Path) -> None:
    """A checkpoint as Lightning writes it of Zoobot: the encoder beside heads, the state of an optimiser, settings."""
    inner = {f"encoder.{name}": value for name, value in state.items()} | {"head.linear.weight": torch.ones(3, 64)}
    content = {"epoch": 3, "state_dict": inner, "optimizer_states": [{"state": {}}], "hyper_parameters": {"lr": 1e-4}}
    torch.save(content, path)


def _parallel(state: dict[str, Tensor], path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in state.items()}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [_safetensors, _lightning, _parallel, torch.save])
@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet"])
def test_a_body_begins_with_the_weights_of_a_file(name: str, write: Any, tmp_path: Path) -> None:
    encoder, path = look_up(f"timm:{name}"), tmp_path / "weights"
    trained = body_of(name, encoder.size)
    torch.nn.init.normal_(next(trained.parameters()))
    write(trained.net.state_dict(), path)
    first = first_weights(encoder, 32, path, seed=1)
    assert first.name == name_of(path)
    for key, value in trained.net.state_dict().items():
        torch.testing.assert_close(first.state[f"net.{key}"], value)


def test_weights_at_places_of_the_picture_are_interpolated(tmp_path: Path) -> None:
    encoder, path = look_up("timm:test_vit"), tmp_path / "weights.safetensors"
    trained = body_of("test_vit", encoder.size)
    torch.nn.init.normal_(trained.net.pos_embed)
    save_file(trained.net.state_dict(), path)
    state = first_weights(encoder, 64, path, seed=1).state
    assert state["net.pos_embed"].shape[1] == (64 // 16) ** 2 + 1
    body = body_of("test_vit", 64).eval()
    body.load_state_dict(state)
    trained.resize(64)
    with torch.inference_mode():
        torch.testing.assert_close(body(noise(64)), trained.eval()(noise(64)))


class Harmful:
    """An object whose pickle calls a function of the system as it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("form", ["new", "old", "plain"])
def test_a_checkpoint_that_would_execute_code_is_refused(form: str, tiny_survey: Path) -> None:
    content = {"state_dict": {"weight": torch.ones(2)}, "callbacks": Harmful()}
    if form == "plain":
        Path("harmful.ckpt").write_bytes(pickle.dumps(content["callbacks"]))
    else:
        torch.save(content, "harmful.ckpt", _use_new_zipfile_serialization=form == "new")
    said = "something else than weights" if form == "plain" else r"code would be executed to load it \(\w+\.system\)"
    with pytest.raises(ModelError, match=rf"harmful.ckpt is refused: .*{said}"):
        train(tiny_survey, "run", net="timm:test_vit", weights="harmful.ckpt", label="clean5", verbose=False)
    assert not Path("executed").exists()


def test_files_that_are_no_weights_of_the_encoder_are_told_apart() -> None:
    encoder = look_up("timm:test_vit")
    other = body_of("test_vit2", 160).net.state_dict()
    save_file(other, "other.safetensors")
    with pytest.raises(
        ModelError, match=r"other\.safetensors does not hold the weights of timm:test_vit: .* \(--net\)"
    ):
        first_weights(encoder, 32, Path("other.safetensors"), 1)
    torch.save({"fc.weight": torch.ones(2)}, "one.pt")
    with pytest.raises(ModelError, match=r"one\.pt has no weights of timm:test_vit; the first of its 1 entries: fc\.w"):
        first_weights(encoder, 32, Path("one.pt"), 1)
    torch.save([1, 2], "list.pt")
    with pytest.raises(ModelError, match=r"list\.pt holds no weights by name"):
        read_state(Path("list.pt"))
    with pytest.raises(NotFoundError, match=r"no file of weights none\.pt"):
        first_weights(encoder, 32, Path("none.pt"), 1)


@pytest.mark.parametrize("kind", ["safetensors", "new", "old", "text", "empty"])
def test_damaged_files_are_refused(kind: str) -> None:
    state, path = {"a": torch.ones(100)}, Path("weights")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "new")
    path.write_bytes({"text": b"no weights at all", "empty": b""}.get(kind, path.read_bytes()[:-250]))
    with pytest.raises(
        ModelError, match=r"weights is (refused: it is )?damaged, or (no file of|holds something else than) weights"
    ):
        read_state(path)


@pytest.mark.usefixtures("untouched", "offline")
@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"net": "timm:test_vitt"}, UnknownNameError, "no encoder of timm 'test_vitt'. Did you mean 'test_vit"),
        ({"net": "timm:test_vit.r9"}, UnknownNameError, "no encoder of timm 'test_vit.r9'.*test_vit.r160_in1k"),
        ({"net": "timm:test_vit", "width": 8}, UsageError, "--width: not for the network 'timm:test_vit'"),
        ({"net": "timm:test_vit", "body": "lite"}, UsageError, "--body: not for the network"),
        ({"net": "timm:test_vit", "start": "imagenet"}, UsageError, "--from imagenet: an encoder of timm begins with"),
        ({"net": "timm:test_vit"}, DownloadError, "timm/test_vit.r160_in1k cannot be fetched.*--from scratch"),
        ({"net": "hf-hub:owner/name"}, DownloadError, "configuration of hf-hub:owner/name cannot be fetched"),
        ({"net": "galaxy", "weights": "a.pt"}, UsageError, "--weights: for encoders of timm"),
        ({"net": "timm:test_vit", "start": "scratch", "weights": "a.pt"}, UsageError, "exclude each other"),
        ({"net": "timm:test_vit2", "start": "pretrained", "size": 30}, UsageError, "size: .* 32"),
        ({"net": "timm:test_vit", "start": "scratch", "freeze": "some"}, UsageError, "blocks from 0 on, or 'all'"),
        ({"net": "timm:test_vit", "start": "scratch", "crop": "half"}, UsageError, "crop has to be whole, galaxy or"),
        ({"net": "timm:test_vit", "start": "scratch", "layer_decay": 1.5}, UsageError, "layer_decay"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], kind: type[Exception], said: str, tiny_survey: Path
) -> None:
    with pytest.raises(kind, match=said):
        train(tiny_survey, "run", label="clean5", verbose=False, **options)


@pytest.mark.usefixtures("untouched")
def test_without_timm_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, tiny_survey: Path) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'peculiar\[bodies\]'"):
        train(tiny_survey, "run", net="timm:test_vit", label="clean5", verbose=False)


def test_settings_of_trained_and_of_random_weights() -> None:
    trained, random = (make_recipe(body="timm:test_vit", pretrained=one) for one in (True, False))
    assert (trained.layer_decay, trained.learning_rate) == (0.75, 0.0003)
    assert (random.layer_decay, random.learning_rate) == (1.0, 0.0005)
    assert make_recipe(body="timm:test_vit", pretrained=True, layer_decay=0.9).layer_decay == 0.9


def test_a_run_records_its_encoder_and_goes_on(different: Path) -> None:
    encoder = look_up("timm:test_efficientnet")
    trained = body_of(encoder.name, encoder.size)
    save_file(trained.net.state_dict(), "zoo.safetensors")
    settings: dict[str, Any] = {"net": "timm:test_efficientnet", "weights": "zoo.safetensors", "label": "clean5"}
    settings |= {"size": 32, "freeze": "all", "crop": "whole", "batch_size": 16, "verbose": False}
    run = train(different, "run", epochs=1, **settings)
    record = read_record(run.folder)
    assert (record.recipe.body, record.recipe.freeze, record.recipe.crop) == ("timm:test_efficientnet", "all", "whole")
    assert record.weights is not None
    assert record.weights.startswith("zoo.safetensors, sha256 ")
    assert record.recipe.framing.crop is None
    net = load_net(run.folder, record)
    for name, value in trained.net.state_dict().items():  # also the statistics of normalisation
        torch.testing.assert_close(net.body.net.state_dict()[name], value)
    assert not np.allclose(net.head("clean5").weight.detach(), 0)
    again = train(different, "run", epochs=1, resume=True, **settings)
    assert again.history == run_files.read_history(run.folder)
