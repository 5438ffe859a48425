"""Rounds: broadcast, gate, quorum, average, the coordinator's free work, checkpoint.

Flower's own strategies average whatever arrives, wait for ever and cannot resume; this loop does not rely
on them. A round is committed by one atomic file that holds the state *and* the event that describes it.
"""

import math
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence

import torch
from flwr.app import RecordDict
from flwr.serverapp import Grid
from torch import nn
from torch.optim import Optimizer

from server.run.agreement import Member
from server.run.averaging import StreamedAverage
from server.run.exchange import ask
from server.run.gate import Expected, check, quorum
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

ROUND_DEADLINE = 6 * 3600.0  # seconds; a site that is later is left out of the round


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
        members: Sequence[Member],
        model: nn.ModuleDict,
        optimizer: Optimizer | None,
        progress: Progress,
    ) -> None:
        self._grid = grid
        self._run = run
        self._recipe = recipe
        self._members = members
        self._model = model
        self._optimizer = optimizer
        self._progress = progress

    def run_round(self, round_: int) -> tuple[list[str], list[Refuse]]:
        """Advance the model by one round; return the sites averaged and the updates refused.

        Raises:
            QuorumError: too few updates passed the gate; the model is unchanged.
        """
        shapes = sent_by_sites(self._recipe, self._model)
        average = StreamedAverage(shapes)
        accepted: list[str] = []
        refused: list[Refuse] = []
        for expected, member, content in self._collect(round_, shapes):
            try:
                self._admit(content, expected, member, average)
                accepted.append(member.name)
            except ProtocolError as err:
                refused.append(self._refusal(round_, member, str(err)))
        need = quorum(len(self._members))
        if len(accepted) < need:
            why = "; ".join(f"{r.site}: {r.reason}" for r in refused)
            raise QuorumError(
                f"round {round_}: {len(accepted)} of {len(self._members)} sites passed the gate and {need} "
                f"are needed ({why}); mend the sites, then --resume"
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
        return sorted(accepted), sorted(refused, key=lambda r: r.site)

    def _collect(
        self, round_: int, shapes: Mapping[str, tuple[int, ...]]
    ) -> Iterator[tuple[Expected, Member, RecordDict | None]]:
        """Broadcast the model and yield each site's answer as it comes."""
        sent = home(sent_to_sites(self._recipe, self._model))
        base, arrays = digest_tensors(sent), encode(sent)
        members = {m.node: m for m in self._members}
        expected = {
            m.node: Expected(
                run=self._run.run,
                round=round_,
                site=m.name,
                public_key=m.enrol.public_key,
                base=base,
                nonce=secrets.token_hex(16),
                shapes=shapes,
            )
            for m in self._members
        }
        requests = {
            node: pack(TrainRequest(run=e.run, round=e.round, base=e.base, nonce=e.nonce), arrays)
            for node, e in expected.items()
        }
        answers = ask(self._grid, TRAIN, requests, group=str(round_), deadline=ROUND_DEADLINE)
        for done, (node, content) in enumerate(answers, start=1):
            self._progress(f"round {round_}: sites", done, len(requests))
            yield expected[node], members[node], content

    def _admit(
        self, content: RecordDict | None, expected: Expected, member: Member, average: StreamedAverage
    ) -> None:
        if content is None:
            raise ProtocolError("no answer before the deadline")
        try:
            reply = unpack(content, UpdateReply)
        except ProtocolError:
            raise ProtocolError(_declined(content)) from None
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

    def _noise_std(self, accepted: Sequence[str]) -> float:
        """Return the noise on each coordinate of the average of a release (public: σ, C, q, N are)."""
        (mechanism,) = self._run.spending.mechanisms
        if not isinstance(mechanism, SampledGaussian) or self._run.clip_norm is None:
            return 0.0
        patients = sum(m.enrol.patients for m in self._members if m.name in accepted)
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
