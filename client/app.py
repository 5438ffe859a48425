"""The hospital's Flower ClientApp: answers the coordinator's four questions and lets nothing else out.

Whatever goes wrong, the coordinator learns a code and one of a few fixed sentences; the exception itself is
written to the site's log. A deployed site is described by Flower's node configuration (`_deployed`).
"""

import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from torch import nn

from client.cohort import Cohort, find_cohort
from client.policy import check_scope
from client.site import Site
from client.witness import Witness
from shared.errors import CohortError, ProtocolError, RequestRefused, WillisError
from shared.ledger.events import Run
from shared.messages import (
    ENROL,
    RESERVE,
    SETTLE,
    WITNESS,
    Body,
    EnrolRequest,
    EventReply,
    Failure,
    ReserveRequest,
    SettleRequest,
    TrainRequest,
    Update,
    UpdateReply,
    WitnessRequest,
    digest_tensors,
    encode,
    pack,
    to_tensors,
    unpack,
    unpack_arrays,
)
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Arrays, Recipe, Records, sent_to_sites
from shared.recipes.catalogue import load

# Nothing here depends on data: the text of an exception may name a file or a patient.
SENTENCES = {
    "cohort": "the site's images could not be read or do not fit the recipe",
    "policy": "the site's policy does not allow this",
    "ledger": "the site's ledger could not be read or written",
    "checkpoint": "the site's stored state could not be read or written",
    "protocol": "the request does not fit what was agreed before",
    "request": "the request goes beyond what this site agreed to",
    "usage": "the request names something this site does not know",
    "error": "the site met an unexpected error",
}

LOG_BYTES = 20 * 10**6  # size at which the log is set aside: whoever asks in vain must not fill the disk
_kept = threading.local()
Answer = tuple[Body, Arrays]


@dataclass(frozen=True)
class Seat:
    """A site and how it computes.

    Attributes:
        site: the hospital.
        noise_seed: seeds noise and draws, in simulations only; None takes them from the operating system.
        threads: torch threads a message may use; None leaves torch's choice.
    """

    site: Site
    noise_seed: int | None = None
    threads: int | None = None


def build_app(seat_of: Callable[[Context], Seat]) -> ClientApp:
    """Return a ClientApp that finds its seat from Flower's context."""
    app = ClientApp()

    def answer(action: Callable[[Seat, Message], Answer], message: Message, context: Context) -> Message:
        seat = seat_of(context)
        if seat.threads is not None:
            torch.set_num_threads(seat.threads)
        try:
            body, arrays = action(seat, message)
        except Exception as err:
            body, arrays = _failure(seat.site, err), {}
        return Message(pack(body, encode(arrays)), reply_to=message)

    @app.query(ENROL.removeprefix("query."))
    def enrol(message: Message, context: Context) -> Message:
        return answer(_enrol, message, context)

    @app.query(RESERVE.removeprefix("query."))
    def reserve(message: Message, context: Context) -> Message:
        return answer(_reserve, message, context)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return answer(_train, message, context)

    @app.query(WITNESS.removeprefix("query."))
    def witness(message: Message, context: Context) -> Message:
        return answer(_witness, message, context)

    @app.query(SETTLE.removeprefix("query."))
    def settle(message: Message, context: Context) -> Message:
        return answer(_settle, message, context)

    return app


def _enrol(seat: Seat, message: Message) -> Answer:
    request = unpack(message.content, EnrolRequest)
    recipe = load(request.recipe, request.variant, request.preset)
    site = seat.site
    check_scope(site.policy, request.recipe, request.preset)
    return EventReply.enrolling(site.identity, site.enrol(site.cohort(recipe.roles)), request.nonce), {}


def _reserve(seat: Seat, message: Message) -> Answer:
    request = unpack(message.content, ReserveRequest)
    run, site = request.run, seat.site
    recipe = _recipe_of(run)
    check_scope(site.policy, run.recipe, run.preset)  # whether its images are there would tell, too
    if not request.resume:
        _patients(site, recipe, run)  # what cannot be read is told before anything is set aside
    return EventReply(signed=site.reserve(run, site.cohort(recipe.roles), resume=request.resume)), {}


def _settle(seat: Seat, message: Message) -> Answer:
    return EventReply(signed=seat.site.settle(unpack(message.content, SettleRequest).run)), {}


def _witness(seat: Seat, message: Message) -> Answer:
    site = seat.site
    return Witness(site.witnessed, site.identity, site.coordinator).answer(
        unpack(message.content, WitnessRequest)
    ), {}


def _train(seat: Seat, message: Message) -> Answer:
    """Answer a round, or sign a refusal of what goes beyond the reservation: it is an event of the ledger."""
    request = unpack(message.content, TrainRequest)
    try:
        return _update(seat, request, to_tensors(unpack_arrays(message.content)))
    except RequestRefused as err:
        return EventReply(signed=seat.site.refuse(request.run, request.round, str(err))), {}


def _update(seat: Seat, request: TrainRequest, sent: Arrays) -> Answer:
    """Return a round's update: the stored bytes if it was answered before, else train."""
    if digest_tensors(sent) != request.base:
        raise ProtocolError("the model is not the one its digest says")
    site = seat.site
    run = site.plan(request.run)
    if not 1 <= request.round <= run.rounds:
        raise RequestRefused(f"round {request.round} is not among the {run.rounds} reserved")
    outbox = site.outbox(run.run)
    with outbox.alone():
        if outbox.has_begun(request.round):
            outbox.begin(request.round, request.base)
        else:
            cohort = site.cohort(load(run.recipe, run.variant, run.preset).roles)
            site.begin(run, cohort, request.round, request.base)
        arrays = outbox.recall(request.round)
        if arrays is None:
            before = outbox.optimizer_state(request.round)
            arrays, state = _compute(seat, run, request.round, sent, before)
            outbox.store(request.round, arrays, state)
    update = Update(
        run=run.run,
        round=request.round,
        site=site.name,
        base=request.base,
        nonce=request.nonce,
        body=digest_tensors(arrays),
    )
    # Stored arrays come back in another order; sorted, an answer repeated is the same to the byte.
    return UpdateReply.by(site.identity, update), dict(sorted(arrays.items()))


def _compute(seat: Seat, run: Run, round_: int, sent: Arrays, optimizer_state: Arrays) -> tuple[Arrays, Arrays]:
    from client.training import (  # Opacus: seconds, for this message alone
        public_stream,
        randomness_for,
        train_round,
    )

    site = seat.site
    recipe = _recipe_of(run)
    model = _networks(recipe, run)
    if set(sent) != set(sent_to_sites(recipe, model)):
        raise ProtocolError("the model has other parts than the recipe's sites read")
    model.load_state_dict(sent, strict=False)
    arrays, state, executed = train_round(
        recipe,
        run,
        model,
        _patients(site, recipe, run),
        optimizer_state,
        randomness_for(run, seat.noise_seed, site.name, round_),
        public_stream(run, site.name, round_),
    )
    if executed.steps != run.steps_per_round:
        raise ProtocolError(f"{executed.steps} steps ran and {run.steps_per_round} were planned")
    return arrays, state


def _recipe_of(run: Run) -> Recipe:
    """Return the recipe as the plan sets it; what it could not be trained with is refused at reservation."""
    return load(run.recipe, run.variant, run.preset, private=run.spending.is_private, settings=run.settings)


def _patients(site: Site, recipe: Recipe, run: Run) -> Mapping[str, Records]:
    """Return the records of the patients there are now: one who withdrew since they were read is not used."""
    asked = (site.images, run.recipe, run.variant, run.preset, run.public_seed)
    patients = records_of(*asked)
    if list(patients) != list(site.cohort(recipe.roles).ids):
        records_of.cache_clear()
        patients = records_of(*asked)
    return patients


def _networks(recipe: Recipe, run: Run) -> nn.ModuleDict:
    """Return the recipe's networks, for this thread alone: those of the last call where the run is the same.

    Building takes longer than a small step. What sites read is loaded afresh every time, and they read what
    they move, so nothing of an earlier answer stays.
    """
    if getattr(_kept, "run", None) != run.run:
        _kept.run, _kept.networks = run.run, recipe.build(run.public_seed)
    networks: nn.ModuleDict = _kept.networks
    return networks


@lru_cache(maxsize=64)
def records_of(images: Path, recipe: str, variant: str, preset: str, seed: int) -> Mapping[str, Records]:
    """Read the cohort in `images` once a process; what is kept, by patient id, is what training draws from.

    Raises:
        CohortError: naming the file, or the patient, that does not fit the recipe.
    """
    made: Recipe = load(recipe, variant, preset)
    cohort = find_cohort(images, made.roles)
    return {id_: _records_of(made, cohort, id_, derive_seed(seed, "records", id_)) for id_ in cohort.ids}


def _records_of(recipe: Recipe, cohort: Cohort, patient: str, seed: int) -> Records:
    scans = cohort.scans(patient)
    try:
        return recipe.records(scans, seed)
    except CohortError as err:
        files = ", ".join(str(path) for session in cohort.patients[patient] for path in session.values())
        raise CohortError(f"{files}: {err}") from err


def _failure(site: Site, err: Exception) -> Failure:
    code = err.code if isinstance(err, WillisError) else "error"
    with suppress(OSError):  # a full disk must not turn into another exception, whose text Flower would send
        site.log.parent.mkdir(parents=True, exist_ok=True)
        if site.log.exists() and site.log.stat().st_size >= LOG_BYTES:
            site.log.replace(site.log.with_suffix(".log.1"))
        with site.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(err)) + "\n")
    return Failure(site=site.name, code=code, sentence=SENTENCES.get(code, SENTENCES["error"]))


def _deployed(context: Context) -> Seat:
    """Return the seat that Flower's node configuration describes."""
    said: Mapping[str, Any] = context.node_config
    site = Site(
        Path(said["site-folder"]),
        name=said["site-name"],
        images=Path(said["cohort"]),
        coordinator=said["coordinator-key"],
    )
    return Seat(site, noise_seed=said.get("noise-seed"), threads=said.get("threads"))


app = build_app(_deployed)
