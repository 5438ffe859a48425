"""A federated query from its question to its answer."""

import json
from pathlib import Path

from safetensors.torch import save

from server.run.asked import Asked
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.bars import bars
from shared.errors import UsageError
from shared.evaluation.published import find_published
from shared.evaluation.segmentation import train
from shared.files import write_durably
from shared.ledger.view import view
from shared.privacy.accounting import cost
from shared.recipes.query_dice import DiceQuery, answer_of
from shared.recipes.vessel_records import EDGE
from simulations.evaluation.asked import Counter
from simulations.federation import train_run


def ask_dice(out: Path, of: Path, cohorts: Path, asked: Asked, steps: int) -> list[str]:
    """Train a network on a published data set, have the sites score it, write OUT/answer.json; return lines.

    Raises:
        UsageError: the data set has no vessels, or patches of another size than the preset's.
        WillisError: as `simulations.federation.train_run`.
    """
    pairs = find_published(of).pairs()
    edge = EDGE[asked.preset]
    if pairs.shape[-1] != edge:
        raise UsageError(f"{of}: patches of {pairs.shape[-1]} voxels; preset {asked.preset} scores {edge}")
    with bars() as progress:
        network = train(pairs, steps, asked.seed or 0, Counter(progress, "training on public data", steps))
    initial = {f"network.{name}": value for name, value in network.state_dict().items()}
    train_run(out, cohorts, asked, "embedded", save(initial))
    return _answer(RunFolder(out))


def _answer(folder: RunFolder) -> list[str]:
    """Write what came back, with what it cost, and return it in words."""
    recipe, model, run = load_model(folder)
    assert isinstance(recipe, DiceQuery)
    ledger = folder.home.open_ledger()
    seen = view(ledger.events, run.run)
    ledger.close()
    answer, patients = answer_of(model), sum(e.patients for e in seen.enrolled.values())
    spent = cost([run.spending], run.delta)
    value, noise = float(answer.mean), float(answer.noise_std)
    content = {
        "what": "mean Dice over a patient's patches, of the network in initial.safetensors",
        "value": value,
        "noise_standard_deviation": noise,
        "patients": patients,
        "sites": sorted(seen.enrolled),
        "cost_alone_if_planned": str(spent),
        "noise_source": run.noise_source.value,
        "run": run.run,
    }
    write_durably(folder.path / "answer.json", json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    low, high = value - 2 * noise, value + 2 * noise
    simulated = ["SIMULATION: the noise is seeded and protects nobody"] if seen.is_seeded else []
    return [
        *simulated,
        f"answer    Dice {value:.3f}, noise ± {noise:.3f} (one standard deviation; two: {low:.2f} to {high:.2f})",
        f"of        {patients} declared patients at {len(seen.enrolled)} sites; nobody else was read",
        f"cost      {spent} for each of them, this query alone, if planned",
        "          (what is guaranteed with everything before stands in the report)",
        f"report    {folder.path / 'report' / 'index.html'}",
    ]
