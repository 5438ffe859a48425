"""One run from start, or from where it was left, to settlement.

The order of writes makes every crash harmless: budget is reserved before training; a round's checkpoint
carries the round's events, so a resumed run can complete the ledger; settlement comes last and may be repeated.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum

from flwr.serverapp import Grid
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.optim import Optimizer

from server.ledger.export import export_ledger
from server.ledger.recorder import Recorder
from server.run.checkpoint import Checkpoint, latest, save_checkpoint
from server.run.enrolment import enrol, find
from server.run.folder import RunFolder
from server.run.job import Job
from server.run.patience import STRICT, Patience
from server.run.planning import plan
from server.run.roster import Roster
from server.run.rounds import Rounds, use_cores
from server.run.status import Watch, conducted
from server.run.witnesses import witness
from shared.canonical import digest
from shared.device import device, home, placed
from shared.errors import CheckpointError, UsageError, WillisError
from shared.ledger.events import Round, Run
from shared.ledger.store import LedgerStore
from shared.ledger.view import view
from shared.optimizer_state import load_state, save_state
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Arrays, Progress, Recipe
from shared.recipes.catalogue import load

_MODEL, _OPTIMIZER = "model/", "optimizer/"


class Extent(Enum):
    """How far a run is taken."""

    RESERVE = "budget is set aside; resume the run to train"
    TRAIN = ""  # to settlement
    GIVE_BACK = "what was set aside is given back; resume the run to set it aside again"


def conduct(
    grid: Grid,
    folder: RunFolder,
    progress: Progress,
    patience: Patience = STRICT,
    approved: Mapping[str, str] | None = None,
    extent: Extent = Extent.TRAIN,
) -> None:
    """Take the run in `folder` from wherever it stands to settlement, or as far as asked; record how that ended.

    `approved` are the sites that may take part, name -> signing key; None: any.

    Raises:
        WillisError: one of its kinds, with the remedy; everything written stays, and the run can be resumed.
    """
    with conducted(folder) as watch:
        train(grid, folder, progress, watch, patience, approved, extent)


def train(
    grid: Grid,
    folder: RunFolder,
    progress: Progress,
    watch: Watch,
    patience: Patience = STRICT,
    approved: Mapping[str, str] | None = None,
    extent: Extent = Extent.TRAIN,
) -> None:
    """Do what `conduct` does within a watch that is kept already."""
    ledger = folder.home.open_ledger()
    record = Recorder(ledger, folder.home.identity)
    witnessed = folder.home.witnessed()
    try:
        _last(folder)  # damage is found before any site is asked
        watch.tell(phase="enrolment")
        progress("enrolment", 0, 1)
        resumed = folder.plan_file.exists()
        roster = _gather(grid, folder, ledger, record, watch, patience, approved)
        witnessed = witness(grid, roster.present, folder.home, ledger, patience)
        watch.tell(phase="reservation", rounds=roster.run.rounds)
        progress("reservation", 0, 1)
        roster.reserve(resume=resumed)
        if extent is Extent.TRAIN:
            _run_rounds(grid, folder, roster, record, progress, watch, patience)
        if extent is not Extent.RESERVE:
            watch.tell(phase="settlement")
            roster.settle()
        watch.tell(sentence=extent.value or _left_to_do(roster.unsettled))
        witnessed = witness(grid, roster.present, folder.home, ledger, patience)
        export_ledger(ledger, folder.ledger, folder.home.identity, witnessed)
    except WillisError:
        with suppress(OSError):  # what stopped the run may be a full disk, and that is what must be told
            export_ledger(ledger, folder.ledger, folder.home.identity, witnessed)
        raise
    finally:
        ledger.close()


def _gather(
    grid: Grid,
    folder: RunFolder,
    ledger: LedgerStore,
    record: Recorder,
    watch: Watch,
    patience: Patience,
    approved: Mapping[str, str] | None,
) -> Roster:
    """Return the members of the run, which is then in the ledger: whoever enrols, or those that it began with."""
    job = folder.job()
    if folder.plan_file.exists():
        enrolled = folder.members()
        found = find(grid, job, enrolled, patience, approved)
    else:
        found = enrol(grid, job, ledger, patience, approved)
        enrolled = tuple(found.members[name].enrol for name in sorted(found.members))
        folder.keep_members(enrolled)
    run = plan(job, recipe_of(job), enrolled)
    folder.keep_plan(run)
    record(run)
    roster = Roster(grid, job, run, enrolled, ledger, record, patience, approved, watch.site)
    roster.arrive(found)
    return roster


def _run_rounds(
    grid: Grid,
    folder: RunFolder,
    roster: Roster,
    record: Recorder,
    progress: Progress,
    watch: Watch,
    patience: Patience,
) -> None:
    """Take the model from the last checkpoint through the rounds that are left."""
    run, job = roster.run, folder.job()
    recipe = recipe_of(job)
    watch.tell(phase="preparation")
    model, optimizer, done = _open_state(recipe, run, folder, record, progress, pretrain=job.pretrain)
    rounds = Rounds(grid, run, recipe, model, optimizer, progress, patience)
    watch.tell(phase="rounds", round=done, update_bytes=rounds.update_bytes)
    for round_ in range(done + 1, run.rounds + 1):
        progress("rounds", round_ - 1, run.rounds)
        began = time.monotonic()
        roster.muster(round_)
        sites, refused = rounds.run_round(round_, roster.reserved, roster.size, watch.site)
        state = Checkpoint(round_, _state(model, optimizer), tuple(refused), tuple(sites))
        save_checkpoint(folder.checkpoints, state)
        _record_round(record, run, state)
        watch.round_done(
            round_,
            time.monotonic() - began,
            updates=len(sites),
            refusals=len(refused),
            sent=rounds.traffic.sent,
            received=rounds.traffic.received,
        )
    progress("rounds", run.rounds, run.rounds)


def _left_to_do(unsettled: Sequence[str]) -> str:
    """Return what is left to do after the last round, or ""."""
    who = ", ".join(unsettled)
    return f"not settled yet: {who}; resume the run once it is back, to publish" if who else ""


def recipe_of(job: Job) -> Recipe:
    """Return the recipe a job asks for."""
    return load(job.recipe, job.variant, job.preset, private=job.epsilon is not None, settings=job.settings)


def load_model(folder: RunFolder) -> tuple[Recipe, nn.ModuleDict, Run]:
    """Return the networks of a finished run, ready to sample from.

    Raises:
        UsageError: the run has rounds left.
        CheckpointError: plan or checkpoint are not those the ledger names.
    """
    job = folder.job()
    recipe = recipe_of(job)
    run = folder.plan()
    state = latest(folder.checkpoints)
    if state.round < run.rounds:
        raise UsageError(f"{folder.path}: the run is not finished; continue it with --resume first")
    _check_recorded(folder, run, state)
    model = recipe.build(run.public_seed)
    model.load_state_dict(_under(state.arrays, _MODEL))
    return recipe, model, run


def _check_recorded(folder: RunFolder, run: Run, state: Checkpoint) -> None:
    """Check that the ledger prices this plan, and that its last round ended in these weights and no others."""
    ledger = folder.home.open_ledger()
    ledger.close()
    seen = view(ledger.events, run.run)
    if seen.run != run or not seen.rounds or seen.rounds[-1].model != state.model:
        msg = "plan or newest checkpoint are not those of the run in the ledger"
        raise CheckpointError(f"{folder.path}: {msg}; restore them, or continue the run with --resume")


def _last(folder: RunFolder) -> Checkpoint | None:
    """Return the last checkpoint, if there is one."""
    return latest(folder.checkpoints) if folder.has_begun else None


def _open_state(
    recipe: Recipe,
    run: Run,
    folder: RunFolder,
    record: Recorder,
    progress: Progress,
    *,
    pretrain: bool,
) -> tuple[nn.ModuleDict, Optimizer | None, int]:
    """Return model, optimiser and rounds done: from the last checkpoint, or fresh."""
    model = placed(recipe.build(run.public_seed), device())
    optimizer = recipe.coordinator_optimizer(model)
    last = _last(folder)
    if last is not None:
        model.load_state_dict(_under(last.arrays, _MODEL))
        load_state(optimizer, _under(last.arrays, _OPTIMIZER))
        _record_round(record, run, last)
        return model, optimizer, last.round
    if run.begins_with_weights:
        model.load_state_dict(
            _given_weights(folder), strict=not run.is_query
        )  # of a query, one network of several
    elif pretrain:
        use_cores(recipe.preset)
        recipe.pretrain(model, derive_seed(run.public_seed, "pretrain"), progress)
    save_checkpoint(folder.checkpoints, Checkpoint(0, _state(model, optimizer)))
    return model, optimizer, 0


def _given_weights(folder: RunFolder) -> Arrays:
    """Return the weights that the run was asked to begin with.

    Raises:
        CheckpointError: they are missing, or others.
    """
    wanted = folder.job().initial
    content = folder.initial_file.read_bytes() if folder.initial_file.exists() else b""
    if digest(content) != wanted:
        msg = f"not the weights the run begins with (SHA-256 {wanted[:12]}…); restore them, or start a new run"
        raise CheckpointError(f"{folder.initial_file}: {msg}")
    arrays: Arrays = safetensors.load(content)
    return arrays


def _state(model: nn.ModuleDict, optimizer: Optimizer | None) -> Arrays:
    arrays = {_MODEL + name: value for name, value in home(model.state_dict()).items()}
    return arrays | {_OPTIMIZER + name: value for name, value in save_state(optimizer).items()}


def _under(arrays: Mapping[str, Tensor], prefix: str) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _record_round(record: Recorder, run: Run, state: Checkpoint) -> None:
    if state.round:
        for refused in state.refused:
            record(refused)
        record(Round(run=run.run, round=state.round, sites=state.sites, model=state.model))
