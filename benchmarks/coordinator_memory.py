"""`python -m benchmarks.coordinator_memory`: what a round takes at the coordinator as hospitals are added.

Hospitals are made up: signed updates of the right shapes, all ready at once, which is the worst case. What is
measured is the coordinator's own part: sending, the gate, the average, its generator's steps.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping

import click
import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Message
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from rich.console import Console
from rich.table import Table

from server.run.asked import Asked
from server.run.enrolment import Member
from server.run.planning import plan
from server.run.rounds import Rounds
from shared.identity import Identity
from shared.ledger.events import Enrol
from shared.messages import TrainRequest, Update, UpdateReply, digest_tensors, encode, pack, unpack
from shared.recipes.base import sent_by_sites
from simulations.embedded import EmbeddedGrid
from simulations.memory import peak_memory

SITES = (3, 10, 30)
_PATIENTS = 20  # at each


class MadeUpSites(EmbeddedGrid):
    """Answers every question of a round at once, as so many hospitals would."""

    def __init__(self, identities: Mapping[int, Identity], shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(ClientApp(), [], workers=1)
        self._identities = identities
        self._shapes = shapes
        self._names = map(str, itertools.count(1))
        self._asked: dict[str, Message] = {}

    def get_node_ids(self) -> Iterable[int]:
        """Return the hospitals' numbers."""
        return list(self._identities)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return the hospitals, all online."""
        return [NodeInfo(node_id=node, last_activated_at="then") for node in self._identities]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Keep the questions."""
        names = []
        for message in messages:
            name = next(self._names)
            message.metadata.__dict__["_message_id"] = name
            self._asked[name] = message
            names.append(name)
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Make up the answers asked for."""
        return [self._answer(self._asked.pop(name)) for name in message_ids if name in self._asked]

    def _answer(self, question: Message) -> Message:
        request = unpack(question.content, TrainRequest)
        identity = self._identities[question.metadata.dst_node_id]
        rng = np.random.default_rng(question.metadata.dst_node_id)
        arrays = {
            name: torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
            for name, shape in self._shapes.items()
        }
        update = Update(
            run=request.run,
            round=request.round,
            site=identity.name,
            base=request.base,
            nonce=request.nonce,
            body=digest_tensors(arrays),
        )
        return Message(pack(UpdateReply.by(identity, update), encode(arrays)), reply_to=question)


def work(recipe_name: str, preset: str, sites: int) -> dict[str, float]:
    """Run one round with so many sites; return the memory it adds to what the model takes, and its time."""
    torch.set_num_threads(1)
    asked = Asked(recipe_name, None, preset, {}, 8.0, None, 1, 1, "none", 1, False, None, None)
    recipe = asked.load()
    run = plan(asked.job(recipe, sites=sites, delta=1e-5, initial=""), recipe, [])
    model = recipe.build(run.public_seed)
    shapes = sent_by_sites(recipe, model)
    identities = {n: Identity(f"site-{n}", Ed25519PrivateKey.generate()) for n in range(1, sites + 1)}
    members = [
        Member(n, Enrol(site=i.name, public_key=i.public_key, patients=_PATIENTS, cohort=""))
        for n, i in identities.items()
    ]
    optimizer = recipe.coordinator_optimizer(model)
    rounds = Rounds(MadeUpSites(identities, shapes), run, recipe, model, optimizer, lambda *_: None)
    before, began = peak_memory(), time.monotonic()
    rounds.run_round(1, members, sites, lambda *_: None)
    return {
        "bytes": peak_memory() - before,
        "seconds": time.monotonic() - began,
        "update": rounds.update_bytes,
        "received": rounds.traffic.received,
    }


@click.command()
@click.option("--recipe", default="lesions-3d", show_default=True)
@click.option("--preset", default="paper", show_default=True)
@click.option("--sites", type=int, hidden=True, help="Of one measurement, in a process of its own.")
def main(recipe: str, preset: str, sites: int | None) -> None:
    """Print memory and time of one round at the coordinator for 3, 10 and 30 hospitals."""
    if sites is not None:
        click.echo(json.dumps(work(recipe, preset, sites)))
        return
    table = Table("sites", "MB added by a round", "x 3 sites", "s", "bytes received / trained parameters")
    first = None
    for number in SITES:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.coordinator_memory"]
        command += ["--recipe", recipe, "--preset", preset, "--sites", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        first = first or found["bytes"]
        table.add_row(
            str(number),
            f"{found['bytes'] / 1e6:.0f}",
            f"{found['bytes'] / first:.2f}",
            f"{found['seconds']:.1f}",
            f"{found['received'] / found['update'] / number:.3f}",
        )
    console = Console(highlight=False)
    console.print(f"{recipe}, preset {preset}: an update is {found['update'] / 1e6:.1f} MB")
    console.print(table)


if __name__ == "__main__":
    main()
