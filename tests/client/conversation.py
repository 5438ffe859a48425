"""A hospital asked through its ClientApp, as a coordinator would ask it, and everything it sends back."""

from collections.abc import Mapping
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.common.serde import message_to_proto, recorddict_to_proto

from client.app import Seat, build_app, records_of
from client.site import Site
from shared.code import code_digest
from shared.ledger.events import Event, Run
from shared.messages import (
    ENROL,
    RESERVE,
    SETTLE,
    TRAIN,
    AnyBody,
    Body,
    EnrolRequest,
    EventReply,
    ReserveRequest,
    SettleRequest,
    TrainRequest,
    digest_tensors,
    encode,
    pack,
    unpack,
)
from shared.privacy.events import NoiseSource, NonPrivate, SampledGaussian, Spending
from shared.recipes.base import NONE, Arrays, Recipe, sent_to_sites
from shared.recipes.settings import Setting
from simulations.embedded import EmbeddedGrid

RUN = "0123456789abcdef"


def run_of(
    recipe: Recipe,
    *,
    name: str = RUN,
    rounds: int = 2,
    steps: int | None = None,
    sampling_rate: float | None = None,
    noise_multiplier: float | None = 2.0,
    source: NoiseSource = NoiseSource.SEEDED,
    settings: Mapping[str, Setting] = NONE,
) -> Run:
    """Return a run of `recipe` at a given noise (None: without), so that nothing has to be calibrated.

    `settings` are those the recipe was loaded with, so that a site loads the same.
    """
    schedule = recipe.schedule
    steps, rate = steps or schedule.steps, sampling_rate or schedule.sampling_rate
    mechanism: SampledGaussian | NonPrivate = NonPrivate(steps=rounds * steps)
    if noise_multiplier is not None:
        mechanism = SampledGaussian(noise_multiplier=noise_multiplier, sampling_rate=rate, steps=rounds * steps)
    return Run(
        run=name,
        recipe=recipe.name,
        variant=recipe.variant,
        preset=recipe.preset,
        settings=dict(settings),
        rounds=rounds,
        steps_per_round=steps,
        sampling_rate=rate,
        clip_norm=None if noise_multiplier is None else schedule.clip_norm,
        records_per_patient=schedule.records,
        spending=Spending.of(mechanism, unit=recipe.phase.unit),
        delta=1e-5,
        noise_source=source,
        public_seed=5,
        pretrained_on="",
        code=code_digest(),
    )


class Conversation:
    """Questions to one site, and the bytes of every answer in order."""

    def __init__(self, folder: Path, *, noise_seed: int | None = 1) -> None:
        self.folder = folder
        self.answers: list[bytes] = []  # contents only: Flower's envelope has a time stamp
        self.envelopes: list[bytes] = []
        records_of.cache_clear()
        app = build_app(lambda context: Seat(Site(folder), noise_seed=noise_seed, threads=1))
        self._grid = EmbeddedGrid(app, [Context(1, 1, {}, RecordDict(), {})], workers=1)

    def ask(self, kind: str, body: Body, arrays: ArrayRecord | None = None) -> RecordDict:
        """Return the content of the site's answer."""
        message = Message(pack(body, arrays), 1, kind, group_id="")
        (reply,) = self._grid.send_and_receive([message], timeout=120.0)
        self.answers.append(recorddict_to_proto(reply.content).SerializeToString(deterministic=True))
        self.envelopes.append(message_to_proto(reply).SerializeToString())
        return reply.content

    def enrol(self, recipe: Recipe) -> RecordDict:
        """Ask who the site is."""
        return self.ask(ENROL, EnrolRequest(recipe=recipe.name, variant=recipe.variant, preset=recipe.preset))

    def reserve(self, run: Run, *, resume: bool = False) -> RecordDict:
        """Ask for budget."""
        return self.ask(RESERVE, ReserveRequest(run=run, resume=resume))

    def train(self, run: Run, round_: int, model: Arrays, *, base: str | None = None) -> RecordDict:
        """Ask for an update of `model`."""
        base = digest_tensors(model) if base is None else base
        return self.ask(TRAIN, TrainRequest(run=run.run, round=round_, base=base, nonce="n"), encode(model))

    def settle(self, run: Run) -> RecordDict:
        """Ask what was executed."""
        return self.ask(SETTLE, SettleRequest(run=run.run))


def model_of(recipe: Recipe, seed: int = 5) -> Arrays:
    """Return what a first round would broadcast, from initial weights drawn with `seed`."""
    return sent_to_sites(recipe, recipe.build(seed))


def event_of(content: RecordDict) -> Event:
    """Return the event of an answer, after checking that there is one."""
    return unpack(content, EventReply).signed.event


def body_of(content: RecordDict, kind: type[AnyBody]) -> AnyBody:
    """Return the body of an answer of one kind."""
    return unpack(content, kind)
