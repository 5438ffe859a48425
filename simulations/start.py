"""Weights that a run begins with: those that another finished run ended with, for fine-tuning."""

from pathlib import Path

from safetensors.torch import save
from torch import nn

from server.run.asked import Asked
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.ledger.verify import reasons_against
from shared.ledger.view import view


def weights_of(path: Path, asked: Asked) -> bytes:
    """Return the networks of the finished run in `path`, as safetensors, for the run that is asked for.

    Raises:
        UsageError: there is no finished run, it is of another recipe, or its weights may show patients to the
            sites that are to go on with them.
        CheckpointError: it is damaged.
    """
    folder = RunFolder(path)
    recipe, model, run = load_model(folder)
    mine = asked.load()
    if (recipe.name, recipe.variant, recipe.preset) != (mine.name, mine.variant, mine.preset):
        wanted = f"recipe {mine.name}, variant {mine.variant}, preset {mine.preset}"
        raise UsageError(f"--start-from {path}: {run.system}; {wanted} is asked for, ask for the same")
    if _shapes(model) != _shapes(mine.build(0)):
        raise UsageError(f"--start-from {path}: its networks are of another size; ask for the settings it had")
    ledger = folder.home.open_ledger()
    ledger.close()
    reasons = reasons_against(view(ledger.events, run.run))
    if reasons and not asked.unsafe_non_private:
        msg = f"its weights would show its patients to other hospitals: {'; '.join(reasons)}"
        raise UsageError(f"--start-from {path}: {msg}; start from a private run, or say --unsafe-non-private")
    weights: bytes = save({name: value.contiguous() for name, value in model.state_dict().items()})
    return weights


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
