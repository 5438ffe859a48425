"""One run from start, or from where it was left, to settlement.

A run folder holds `run.json` (what was asked), `ledger/`, `checkpoints/` and the coordinator's key. The order
of writes makes every crash harmless: budget is reserved before training; a round's checkpoint carries the
round's events, so a resumed run can complete the ledger; settlement comes last and may be repeated.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from flwr.serverapp import Grid
from torch import Tensor, nn
from torch.optim import Optimizer

from server.agreement import enrol, reserve, settle
from server.checkpoint import Checkpoint, latest, save_checkpoint
from server.job import Job, plan
from server.ledger_export import export_ledger
from server.rounds import Rounds, use_cores
from shared.errors import UsageError, WillisError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.events import Event, Round, Run
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from shared.optimizer_state import load_state, save_state
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Arrays, Progress, Recipe
from shared.recipes.catalogue import load

COORDINATOR = "coordinator"
_MODEL, _OPTIMIZER = "model/", "optimizer/"


class RunFolder:
    """Where everything of a run lies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def job_file(self) -> Path:
        """What was asked for."""
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def ledger_file(self) -> Path:
        """The coordinator's ledger."""
        return self.path / "ledger" / "ledger.sqlite"

    @property
    def identity(self) -> Identity:
        """The coordinator's signing key."""
        return Identity.at(self.path / "coordinator.key", COORDINATOR)

    def job(self) -> Job:
        """Return what was asked for.

        Raises:
            UsageError: there is no run here, or its description is damaged.
        """
        try:
            return Job.model_validate_json(self.job_file.read_bytes())
        except FileNotFoundError as err:
            raise UsageError(f"{self.path}: no run here; `willis simulate` makes one") from err
        except ValueError as err:
            raise UsageError(f"{self.job_file}: damaged; restore it from a copy") from err

    def open_ledger(self, *, create: bool = False) -> LedgerStore:
        """Open the coordinator's ledger (see `LedgerStore`)."""
        return LedgerStore(self.ledger_file, create=create)

    def begin(self, job: Job) -> None:
        """Make the folder of a new run.

        Raises:
            UsageError: something is there already; it is left alone.
        """
        if self.path.exists() and any(self.path.iterdir()):
            raise UsageError(f"{self.path}: not empty; give --resume to continue its run, or another folder")
        write_durably(self.job_file, job.model_dump_json(indent=2).encode() + b"\n")


def conduct(grid: Grid, folder: RunFolder, progress: Progress) -> None:
    """Take the run in `folder` from wherever it stands to settlement.

    Raises:
        WillisError: one of its kinds, with the remedy; everything written stays, and the run can be resumed.
    """
    job = folder.job()
    recipe = load(job.recipe, job.variant, job.preset, private=job.epsilon is not None)
    started = folder.ledger_file.exists()
    ledger = folder.open_ledger(create=not started)
    try:
        progress("enrolment", 0, 1)
        members = enrol(grid, job, ledger)
        run = plan(job, recipe, [m.enrol for m in members])
        _record(ledger, run)
        progress("reservation", 0, 1)
        reserve(grid, run, members, ledger, resume=started)
        model, optimizer, done = _open_state(recipe, run, folder, ledger, progress, pretrain=job.pretrain)
        rounds = Rounds(grid, run, recipe, members, model, optimizer, progress)
        for round_ in range(done + 1, run.rounds + 1):
            progress("rounds", round_ - 1, run.rounds)
            sites, refused = rounds.run_round(round_)
            state = Checkpoint(round_, _state(model, optimizer), tuple(refused), tuple(sites))
            save_checkpoint(folder.checkpoints, state)
            _record_round(ledger, run, state)
        progress("rounds", run.rounds, run.rounds)
        settle(grid, run, members, ledger)
        export_ledger(ledger, folder.ledger_file.parent, folder.identity)
    except WillisError:
        with suppress(OSError):  # what stopped the run may be a full disk, and that is what must be told
            export_ledger(ledger, folder.ledger_file.parent, folder.identity)
        raise
    finally:
        ledger.close()


def load_model(folder: RunFolder) -> tuple[Recipe, nn.ModuleDict, Run]:
    """Return the networks of a finished run, ready to sample from.

    Raises:
        UsageError: the run has rounds left.
    """
    job = folder.job()
    recipe = load(job.recipe, job.variant, job.preset)
    ledger = folder.open_ledger()
    run = next((s.event for s in ledger.events if isinstance(s.event, Run)), None)
    ledger.close()
    state = latest(folder.checkpoints)
    if run is None or state.round < run.rounds:
        raise UsageError(f"{folder.path}: the run is not finished; continue it with --resume first")
    model = recipe.build(run.public_seed)
    model.load_state_dict(_under(state.arrays, _MODEL))
    return recipe, model, run


def _open_state(
    recipe: Recipe,
    run: Run,
    folder: RunFolder,
    ledger: LedgerStore,
    progress: Progress,
    *,
    pretrain: bool,
) -> tuple[nn.ModuleDict, Optimizer | None, int]:
    """Return model, optimiser and rounds done: from the last checkpoint, or fresh."""
    model = recipe.build(run.public_seed)
    optimizer = recipe.coordinator_optimizer(model)
    if any(folder.checkpoints.glob("round-*.safetensors")):
        state = latest(folder.checkpoints)
        model.load_state_dict(_under(state.arrays, _MODEL))
        load_state(optimizer, _under(state.arrays, _OPTIMIZER))
        _record_round(ledger, run, state)
        return model, optimizer, state.round
    if pretrain:
        use_cores(recipe.preset)
        recipe.pretrain(model, derive_seed(run.public_seed, "pretrain"), progress)
    save_checkpoint(folder.checkpoints, Checkpoint(0, _state(model, optimizer)))
    return model, optimizer, 0


def _state(model: nn.ModuleDict, optimizer: Optimizer | None) -> Arrays:
    arrays = {_MODEL + name: value for name, value in model.state_dict().items()}
    return arrays | {_OPTIMIZER + name: value for name, value in save_state(optimizer).items()}


def _under(arrays: Mapping[str, Tensor], prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _record_round(ledger: LedgerStore, run: Run, state: Checkpoint) -> None:
    if state.round:
        for refused in state.refused:
            _record(ledger, refused)
        _record(ledger, Round(run=run.run, round=state.round, sites=state.sites, model=state.model))


def _record(ledger: LedgerStore, event: Event) -> None:
    ledger.append_once(SignedEvent(event=event, signer=COORDINATOR), lambda known: known == event)
