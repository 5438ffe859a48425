"""A federation of three sites and a network of a few weights, for what is about messages and crashes alone."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Context, RecordDict
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import SGD, Adam, Optimizer

from client.app import Seat, build_app
from client.site import Site
from server.ledger.home import Home
from server.run.checkpoint import latest
from server.run.folder import RunFolder
from server.run.job import Job
from shared.imaging.scan import Role, Scan
from shared.ledger.events import Event
from shared.ledger.verify import verify_runs
from shared.ledger.view import RunView, view
from shared.privacy.events import NoiseSource
from shared.recipes.base import GradientPhase, Recipe, Records
from shared.recipes.settings import Schedule
from simulations.embedded import EmbeddedGrid
from tests.cohorts import lesion_cohorts
from tests.simulations.faulty import FaultyGrid

SITES = ("east", "north", "west")  # nodes 1, 2 and 3
ROUNDS = 3


class _Records:
    def __init__(self, scans: Sequence[Scan]) -> None:
        self._mask = torch.from_numpy(np.stack([scan.volumes[Role.LESION] for scan in scans]).astype(np.float32))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(self._mask), (count,), generator=generator)
        return torch.flatten(self._mask[chosen], 1)[:, :4]


class _Phase(GradientPhase):
    reads = ("network",)
    moves = ("network",)

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        return Adam(parameters, lr=0.05)

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        return mse_loss(model["network"](records), torch.ones(len(records), 1))


class Tiny(Recipe):
    """Learns five weights; its sites keep an optimiser's state."""

    name = "tiny"
    variant = "only"
    roles = (Role.LESION,)
    phase = _Phase()

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> Schedule:
        return Schedule(rounds=ROUNDS, steps=2, sampling_rate=0.7, clip_norm=1.0, records=1)

    def records(self, scans: Sequence[Scan], seed: int) -> Records:
        return _Records(scans)

    def build(self, seed: int) -> nn.ModuleDict:
        torch.manual_seed(seed)
        return nn.ModuleDict({"network": nn.Linear(4, 1)})

    def coordinator_optimizer(self, model: nn.ModuleDict) -> Optimizer | None:
        return SGD(model.parameters(), lr=0.1, momentum=0.9)

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        model.load_state_dict(average)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        raise NotImplementedError


def catalogue() -> dict[str, dict[str, type[Recipe]]]:
    """Stand in for `shared.recipes.catalogue.catalogue`."""
    return {Tiny.name: {Tiny.variant: Tiny}}


class Federation:
    """Sites, the coordinator's home and one run, in a folder that can be copied at any moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = RunFolder(root / "run")

    @classmethod
    def made(
        cls, root: Path, source: NoiseSource = NoiseSource.SEEDED, epsilon: float | None = None
    ) -> "Federation":
        """Make the sites with their keys, and a run that was asked for."""
        made = cls(root)
        lesion_cohorts(root / "sites", dict.fromkeys(SITES, 3))
        for name in SITES:
            site = made.site(name)
            site.enrol(site.cohort([Role.LESION]))
        home = Home(root / "home")
        home.found(1e-5, 1)
        job = Job(
            recipe=Tiny.name,
            variant=Tiny.variant,
            preset="small",
            epsilon=epsilon,
            delta=1e-5,
            rounds=ROUNDS,
            sites=len(SITES),
            noise_source=source,
            public_seed=5,
            pretrain=False,
            cases=1,
            nonce="" if source is NoiseSource.SEEDED else "once",
        )
        made.folder.begin(job, home.path)
        return made

    def copied(self, root: Path) -> "Federation":
        """Return a copy that goes its own way."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        place = root / "run" / "federation.json"
        place.write_text(place.read_text().replace(str(self.root.resolve()), str(root.resolve())))
        return Federation(root)

    def site(self, name: str) -> Site:
        return Site(self.root / "sites" / name)

    def grid(self, **faults: Any) -> FaultyGrid:
        """Return a new connection to all sites, whose processes have just started."""
        seeded = self.folder.job().noise_source is NoiseSource.SEEDED

        def seat(context: Context) -> Seat:
            name = str(context.node_config["name"])
            return Seat(self.site(name), noise_seed=7 if seeded else None, threads=1)

        contexts = [Context(1, n, {"name": name}, RecordDict(), {}) for n, name in enumerate(SITES, start=1)]
        return FaultyGrid(EmbeddedGrid(build_app(seat), contexts, workers=len(SITES)), **faults)

    @property
    def model(self) -> str:
        """Digest of the coordinator's newest state."""
        return latest(self.folder.checkpoints).model

    @property
    def lines(self) -> list[bytes]:
        """The federation's ledger."""
        ledger = self.folder.home.open_ledger()
        ledger.close()
        return ledger.lines

    @property
    def events(self) -> list[Event]:
        """The events of the federation's ledger."""
        ledger = self.folder.home.open_ledger()
        ledger.close()
        return [signed.event for signed in ledger.events]

    @property
    def seen(self) -> RunView:
        """The run as the ledger tells it."""
        ledger = self.folder.home.open_ledger()
        ledger.close()
        return view(ledger.events, self.folder.plan().run)

    def begun(self, name: str) -> int:
        """Return how many rounds a site began: what it really spent."""
        return self.site(name).outbox(self.folder.plan().run).rounds

    def assert_budget_is_told(self) -> None:
        """Fail if any site's spending is under-reported, or the ledger contradicts itself."""
        seen = self.seen
        for name in SITES:
            steps = self.begun(name) * seen.run.steps_per_round
            told = seen.spent(name).steps if name in seen.reserves else 0
            assert told >= steps, f"{name} made {steps} steps and the ledger tells {told}"
        assert [f.detail for f in verify_runs([seen]) if f.passed is False] == []
