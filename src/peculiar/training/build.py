"""Networks of training runs: made as a recipe says, or loaded from a folder."""

from pathlib import Path

from peculiar.errors import RunError
from peculiar.files import run_files
from peculiar.training.dimensions import TIMM
from peculiar.training.hints import HINTS
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.networks.timm_body import TimmBody
from peculiar.training.recipe import AVERAGED, Recipe, RunRecord
from peculiar.training.weights import read_weights


def make_net(record: RunRecord) -> GalaxyNet:
    """Make the network of a run, with its first weights."""
    recipe = record.recipe
    return GalaxyNet(
        {question.name: len(question.answers) for question in record.questions},
        recipe.width,
        make_body(recipe),
        context=recipe.context,
        embedding=recipe.embedding,
        hints=HINTS if recipe.hints else 0,
    )


def make_body(recipe: Recipe) -> str | TimmBody:
    """Make the body of a run if it is one of timm; otherwise return its name."""
    if not recipe.of_timm:
        return recipe.body
    return TimmBody(recipe.body.removeprefix(TIMM), recipe.size, recipe.body_arguments)


def load_net(folder: Path, record: RunRecord) -> GalaxyNet:
    """Load the averaged weights of a run, for classification."""
    net = make_net(record)
    tensors, _, _ = read_weights(folder / AVERAGED)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        message = f"{folder}: the weights do not match the network in {run_files.RECORD} ({error})"
        raise RunError(message) from error
    return net.eval()
