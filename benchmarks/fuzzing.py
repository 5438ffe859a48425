"""`python -m benchmarks.fuzzing`: spoilt messages both ways; refused, accepted, accepted wrongly, crashed.

At the site: every answer must be one of the forms of `shared.messages`, nothing signed may say more than was
asked, and no more rounds may run than are reserved. At the coordinator: every failure must be a `WillisError`,
and what enters ledger, average or witnesses' file must be what the genuine site signed.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import click
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.mangling import mangled
from server.ledger.home import Home
from server.run.agreement import reserve, settle
from server.run.averaging import StreamedAverage
from server.run.enrolment import Member, enrol
from server.run.gate import Expected
from server.run.job import Job
from server.run.rounds import Rounds
from server.run.witnesses import witness
from shared.canonical import digest
from shared.errors import ProtocolError, WillisError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.events import Enrol, Refuse, Reserve, Run, Settle
from shared.ledger.log import event_bytes
from shared.ledger.merkle import consistency_proof, leaf_hash
from shared.ledger.store import LedgerStore
from shared.messages import (
    ENROL,
    RESERVE,
    SETTLE,
    TRAIN,
    WITNESS,
    Body,
    EnrolRequest,
    EventReply,
    Failure,
    ReserveRequest,
    SettleRequest,
    TrainRequest,
    UpdateReply,
    WitnessReply,
    WitnessRequest,
    digest_tensors,
    encode,
    pack,
    to_tensors,
    unpack,
    unpack_arrays,
)
from shared.privacy.events import NoiseSource
from shared.recipes.base import Arrays, Recipe, sent_by_sites, sent_to_sites
from simulations.embedded import EmbeddedGrid

Counts = dict[str, Counter[str]]  # by message kind: refused, accepted, accepted wrongly, crashed
Ask = Callable[[str, RecordDict], RecordDict]
REFUSED, ACCEPTED, WRONGLY, CRASHED = "refused", "accepted", "accepted wrongly", "crashed"


# The site as the target --------------------------------------------------------------------------------------


def requests(recipe: Recipe, run: Run, model: Arrays, home: Home, ledger: LedgerStore) -> dict[str, RecordDict]:
    """Return one genuine request of every kind."""
    leaves = [leaf_hash(raw) for raw in ledger.lines]
    shown = Checkpoint.by(home.identity, ledger.head)
    proof = tuple(h.hex() for h in consistency_proof(leaves, 0))
    train = TrainRequest(run=run.run, round=1, base=digest_tensors(model), nonce="n")
    return {
        ENROL: pack(EnrolRequest(recipe=recipe.name, variant=recipe.variant, preset=recipe.preset, nonce="n")),
        RESERVE: pack(ReserveRequest(run=run, resume=True)),
        TRAIN: pack(train, encode(model)),
        SETTLE: pack(SettleRequest(run=run.run)),
        WITNESS: pack(
            WitnessRequest(coordinator=home.identity.public_key, checkpoint=shown.text, old_size=0, proof=proof)
        ),
    }


def fuzz_site(ask: Ask, genuine: dict[str, RecordDict], trials: int, seed: int) -> Counts:
    """Send `trials` spoilt messages of every kind to a site that has reserved and answered the genuine ones."""
    rng = random.Random(seed)
    counts: Counts = {kind: Counter() for kind in genuine}
    for kind, content in genuine.items():
        others = [other for name, other in genuine.items() if name != kind]
        for _ in range(trials):
            sent = mangled(content, others, rng)
            counts[kind][judge(kind, sent, ask(kind, sent))] += 1
    return counts


def judge(kind: str, sent: RecordDict, answer: RecordDict) -> str:
    """Return what a site did with a message: `crashed` if the answer has none of the known forms."""
    for form in (Failure, EventReply, UpdateReply, WitnessReply):
        try:
            body = unpack(answer, form)
        except ProtocolError:
            continue
        if isinstance(body, Failure):
            return REFUSED
        try:
            right = _is_right(kind, sent, body)
        except WillisError:
            right = False  # it answered what it could not have read
        refuses = isinstance(body, EventReply) and isinstance(body.signed.event, Refuse)
        return (REFUSED if refuses else ACCEPTED) if right else WRONGLY
    return CRASHED


def _is_right(kind: str, sent: RecordDict, body: Body) -> bool:
    """Whether an answer says no more than was asked."""
    if isinstance(body, WitnessReply):
        asked = unpack(sent, WitnessRequest)
        shown = parse_checkpoint(asked.checkpoint, "shown")
        return kind == WITNESS and shown.is_by(asked.coordinator) and body.size <= shown.head.size
    if isinstance(body, UpdateReply):
        train = unpack(sent, TrainRequest)
        update = body.update
        fits = (update.run, update.round, update.nonce) == (train.run, train.round, train.nonce)
        return kind == TRAIN and fits and digest_tensors(to_tensors(unpack_arrays(sent))) == update.base
    assert isinstance(body, EventReply)
    event = body.signed.event
    if isinstance(event, Reserve):
        run = unpack(sent, ReserveRequest).run
        return kind == RESERVE and (event.plan, event.spending) == (digest(event_bytes(run)), run.spending)
    if isinstance(event, Settle):
        return kind == SETTLE and event.run == unpack(sent, SettleRequest).run
    return isinstance(event, Refuse) or (isinstance(event, Enrol) and kind == ENROL)


# The coordinator as the target -------------------------------------------------------------------------------


class Answering:
    """A grid of one site that answers with whatever content was put here last."""

    def __init__(self) -> None:
        self.content = RecordDict()
        app = ClientApp()

        @app.train()
        @app.query("enrol")
        @app.query("reserve")
        @app.query("settle")
        @app.query("witness")
        def answer(message: Message, context: Context) -> Message:
            return Message(self.content, reply_to=message)

        self.grid = EmbeddedGrid(app, [Context(1, 1, {}, RecordDict(), {})], workers=1)


class Coordinator:
    """A coordinator with one member, asked to take in one kind of answer at a time."""

    def __init__(
        self, home: Home, cosigned: Home, recipe: Recipe, run: Run, member: Member, model: Arrays
    ) -> None:
        """Take `cosigned` to be the federation as it was when the member cosigned it."""
        self.cosigned = cosigned
        self.run = run
        self.member = member
        self.site = Answering()
        self.ledger = home.open_ledger()
        networks = recipe.build(run.public_seed)
        self._shapes = sent_by_sites(recipe, networks)
        self._base = digest_tensors(model)
        self._rounds = Rounds(self.site.grid, run, recipe, networks, None, lambda *_: None)
        self.job = Job(
            recipe=recipe.name,
            variant=recipe.variant,
            preset=recipe.preset,
            epsilon=1.0,
            delta=run.delta,
            rounds=run.rounds,
            sites=1,
            noise_source=NoiseSource.SEEDED,
            public_seed=run.public_seed,
            pretrain=False,
            cases=1,
            nonce="",
        )

    def take(self, kind: str, content: RecordDict) -> bool:
        """Take in an answer; return whether it was used."""
        self.site.content = content
        before = len(self.ledger.events)
        if kind == ENROL:
            with patch("server.run.enrolment.secrets.token_hex", lambda size: "n"):  # of the answers recorded
                found = enrol(self.site.grid, self.job, self.ledger)
            return [m.enrol for m in found.members.values()] == [self.member.enrol]
        if kind == RESERVE:
            reserve(self.site.grid, self.run, [self.member], self.ledger, resume=True)
            return True
        if kind == SETTLE:
            settle(self.site.grid, self.run, [self.member], self.ledger)
            return len(self.ledger.events) > before
        if kind == WITNESS:
            ledger = self.cosigned.open_ledger()
            try:
                return len(witness(self.site.grid, [self.member], self.cosigned, ledger).signatures) > 1
            finally:
                ledger.close()
        return self._train(content)

    def _train(self, content: RecordDict) -> bool:
        expected = Expected(
            run=self.run.run,
            round=1,
            site=self.member.name,
            public_key=self.member.enrol.public_key,
            base=self._base,
            nonce="n",
            shapes=self._shapes,
        )
        self._rounds._admit(content, expected, self.member, StreamedAverage(self._shapes))
        return True


def fuzz_coordinator(
    coordinator: Coordinator, genuine: dict[str, RecordDict], trials: int, seed: int
) -> tuple[Counts, list[str]]:
    """Answer with `trials` spoilt messages of every kind; return counts, and the crashes in words."""
    rng = random.Random(seed)
    counts: Counts = {kind: Counter() for kind in genuine}
    crashes: list[str] = []
    for kind, content in genuine.items():
        others = [other for name, other in genuine.items() if name != kind]
        for _ in range(trials):
            answer = mangled(content, others, rng)
            with _fewest_events(coordinator) as right:
                try:
                    used = coordinator.take(kind, answer)
                    outcome = ACCEPTED if used and _means_the_same(answer, content) else REFUSED
                    if used and outcome is REFUSED:
                        outcome = WRONGLY
                except WillisError:
                    outcome = REFUSED
                except Exception as err:
                    outcome = CRASHED
                    crashes.append(f"{kind}: {type(err).__name__}: {err}"[:200])
            counts[kind][outcome if right() else WRONGLY] += 1
    return counts, crashes


@contextmanager
def _fewest_events(coordinator: Coordinator) -> Iterator[Callable[[], bool]]:
    """Yield a question: is every entry that was added one that the genuine site could have signed?"""
    before = len(coordinator.ledger.events)

    def right() -> bool:
        key = coordinator.member.enrol.public_key
        return all(signed.is_signed_by(key) for signed in coordinator.ledger.events[before:])

    yield right


def _means_the_same(answer: RecordDict, genuine: RecordDict) -> bool:
    """Whether two messages have the same body and arrays, whatever the bytes."""
    for form in (EventReply, UpdateReply, WitnessReply):
        try:
            same = unpack(answer, form) == unpack(genuine, form)
        except ProtocolError:
            continue
        if form is not UpdateReply:
            return same  # arrays beside it are not read
        return same and digest_tensors(to_tensors(unpack_arrays(answer))) == digest_tensors(
            to_tensors(unpack_arrays(genuine))
        )
    return False


def model_of(recipe: Recipe, seed: int = 5) -> Arrays:
    """Return what a first round would broadcast."""
    return sent_to_sites(recipe, recipe.build(seed))


@click.command()
@click.option("--trials", default=1000, show_default=True, help="Spoilt messages of each kind, each way.")
@click.option("--seed", default=0, show_default=True)
def main(trials: int, seed: int) -> None:
    """Count what becomes of spoilt messages."""
    from tests.client.fuzz_setting import Setting

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder))
        site = fuzz_site(setting.ask, setting.requests, trials, seed)
        coordinator, crashes = fuzz_coordinator(setting.coordinator, setting.answers, trials, seed)
    table = Table(box=SIMPLE_HEAD, title=f"{trials} spoilt messages of each kind, seed {seed}")
    for name in ("target", "kind", REFUSED, ACCEPTED, WRONGLY, CRASHED):
        table.add_column(name, justify="left" if name in ("target", "kind") else "right")
    for target, counts in (("site", site), ("coordinator", coordinator)):
        for kind, count in counts.items():
            table.add_row(
                target, kind, *(str(count[outcome]) for outcome in (REFUSED, ACCEPTED, WRONGLY, CRASHED))
            )
    Console().print(table)
    for crash in sorted(set(crashes))[:20]:
        print(crash)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
