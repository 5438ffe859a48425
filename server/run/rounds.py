"""Rounds: broadcast, gate, quorum, average, the coordinator's free work, checkpoint.

Flower's own strategies average whatever arrives, wait for ever and cannot resume; this loop does not rely
on them. A round is committed by one atomic file that holds the state *and* the event that describes it.
"""

import math
import os
import secrets
from collections.abc import Callable, Iterator, Sequence

import torch
from flwr.app import RecordDict
from flwr.serverapp import Grid
from torch import nn
from torch.optim import Optimizer

from server.run.averaging import StreamedAverage
from server.run.enrolment import Member
from server.run.exchange import NoAnswer, Traffic, ask
from server.run.gate import Expected, check, check_size
from server.run.patience import STRICT, Patience
from shared.device import home
from shared.errors import ProtocolError, QuorumError
from shared.ledger.events import Refuse, Run
from shared.messages import (
    TRAIN,
    EventReply,
    Failure,
    TrainRequest,
    UpdateReply,
    digest_tensors,
    encode,
    pack,
    unpack,
    unpack_arrays,
)
from shared.privacy.events import SampledGaussian
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Progress, Recipe, sent_by_sites, sent_to_sites

Told = Callable[[str, str], None]  # of a site, what


def use_cores(preset: str) -> None:
    """Fix the coordinator's number of torch threads: the same in every engine, so the same bytes.

    Small networks gain nothing from a second thread, and lose much by it on a busy machine.
    """
    torch.set_num_threads(1 if preset == "small" else os.cpu_count() or 1)


class Rounds:
    """Runs one round after another on a model held in memory."""

    def __init__(
        self,
        grid: Grid,
        run: Run,
        recipe: Recipe,
        model: nn.ModuleDict,
        optimizer: Optimizer | None,
        progress: Progress,
        patience: Patience = STRICT,
    ) -> None:
        self.traffic = Traffic()
        self._patience = patience
        self._grid = grid
        self._run = run
        self._recipe = recipe
        self._model = model
        self._optimizer = optimizer
        self._progress = progress

    @property
    def update_bytes(self) -> int:
        """4 x the number of trained parameters: the least that one update takes."""
        return 4 * sum(math.prod(shape) for shape in sent_by_sites(self._recipe, self._model).values())

    def run_round(
        self, round_: int, members: Sequence[Member], enrolled: int, told: Told
    ) -> tuple[list[str], list[Refuse]]:
        """Advance the model by one round; return the sites averaged and the updates refused.

        `members` can be asked now; `enrolled` reserved for the run, and of them a quorum is needed. `told` hears
        what becomes of each.

        Raises:
            QuorumError: too few updates passed the gate; the model is unchanged.
        """
        need = self._patience.updates_needed(enrolled)
        average = StreamedAverage(sent_by_sites(self._recipe, self._model))
        accepted: list[Member] = []
        refused: list[Refuse] = []
        for member in members:
            told(member.name, f"asked for round {round_}")
        for expected, member, content in self._collect(round_, members, lambda: len(accepted) >= need):
            try:
                self._admit(content, expected, member, average)
                accepted.append(member)
                told(member.name, f"answered round {round_}")
            except ProtocolError as err:
                refused.append(self._refusal(round_, member, str(err)))
                told(member.name, f"round {round_}: {err}")
        if len(accepted) < need:
            why = "; ".join(f"{r.site}: {r.reason}" for r in refused)
            raise QuorumError(
                f"round {round_}: {len(accepted)} of {enrolled} sites passed the gate and {need} "
                f"are needed ({why}); mend the sites, then resume the run"
            )
        averaged = {name: torch.from_numpy(array) for name, array in average.result().items()}
        use_cores(self._recipe.preset)
        self._recipe.receive(self._model, averaged, self._noise_std(accepted))
        self._recipe.coordinate(
            self._model,
            self._optimizer,
            derive_seed(self._run.public_seed, "coordinator", round_),
            round_ == self._run.rounds,
            self._progress,
        )
        return sorted(m.name for m in accepted), sorted(refused, key=lambda r: r.site)

    def _collect(
        self, round_: int, members: Sequence[Member], enough: Callable[[], bool]
    ) -> Iterator[tuple[Expected, Member, RecordDict | NoAnswer]]:
        """Broadcast the model and yield each site's answer as it comes."""
        sent = home(sent_to_sites(self._recipe, self._model))
        base, arrays = digest_tensors(sent), encode(sent)
        expected = {
            m.node: Expected(
                run=self._run.run,
                round=round_,
                site=m.name,
                public_key=m.enrol.public_key,
                base=base,
                nonce=secrets.token_hex(16),
                shapes=sent_by_sites(self._recipe, self._model),
            )
            for m in members
        }
        requests = {
            node: pack(TrainRequest(run=e.run, round=e.round, base=e.base, nonce=e.nonce), arrays)
            for node, e in expected.items()
        }
        by_node = {m.node: m for m in members}
        wait = self._patience.wait_for_updates(enough)
        answers = ask(self._grid, TRAIN, requests, group=str(round_), wait=wait, traffic=self.traffic)
        for done, (node, content) in enumerate(answers, start=1):
            self._progress(f"round {round_}: sites", done, len(requests))
            yield expected[node], by_node[node], content

    def _admit(
        self, content: RecordDict | NoAnswer, expected: Expected, member: Member, average: StreamedAverage
    ) -> None:
        if isinstance(content, NoAnswer):
            raise ProtocolError(content.sentence)
        try:
            reply = unpack(content, UpdateReply)
        except ProtocolError:
            raise ProtocolError(_declined(content)) from None
        check_size(content, expected.shapes)
        arrays = unpack_arrays(content)
        check(reply, arrays, expected)
        average.add(arrays, member.enrol.patients)

    def _refusal(self, round_: int, member: Member, reason: str) -> Refuse:
        return Refuse(
            run=self._run.run,
            site=member.name,
            by="coordinator",
            round=round_,
            code=ProtocolError.code,
            reason=reason,
        )

    def _noise_std(self, accepted: Sequence[Member]) -> float:
        """Return the noise on each coordinate of the average of a release (public: σ, C, q, N are)."""
        (mechanism,) = self._run.spending.mechanisms
        if not isinstance(mechanism, SampledGaussian) or self._run.clip_norm is None:
            return 0.0
        patients = sum(m.enrol.patients for m in accepted)
        one_sum = mechanism.noise_multiplier * self._run.clip_norm
        # Each site's sum carries the noise once; weights N_i cancel the divisor q·N_i.
        steps = math.sqrt(self._run.steps_per_round)
        return one_sum * math.sqrt(len(accepted)) / (mechanism.sampling_rate * patients * steps)


def _declined(content: RecordDict) -> str:
    """Return why a site sent no update: its signed refusal of the request, or one of the fixed sentences."""
    try:
        event = unpack(content, EventReply).signed.event
    except ProtocolError:
        return unpack(content, Failure).sentence
    return f"the site refuses: {event.reason}" if isinstance(event, Refuse) else "the site answered something else"
