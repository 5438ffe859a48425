"""A federated run on the embedded engine against the same steps in one plain loop.

After each federated round the loop makes the same one, so that both meet the same load of the machine. The
engine runs sites side by side, one torch thread each, and the coordinator's small networks on one. The loop
has one torch thread in one round and all cores in the next: CPU times compare with the first, wall times with
the faster. The first round warms up and is not counted.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn.utils import parameters_to_vector

from benchmarks.plain_loop import PlainLoop
from benchmarks.timing import Cost, timed
from client.app import records_of
from client.policy import POLICY_FILE
from server.ledger.home import Home
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from server.run.job import Job
from server.run.planning import plan
from shared.ledger.events import Enrol, Run
from shared.privacy.events import NoiseSource
from shared.recipes.base import Progress
from shared.recipes.catalogue import load
from simulations.engines import run_engine
from simulations.federation import POLICY
from simulations.hospitals.cohort import Plan, write_cohorts

SEED = 1
SITES = 4
PATIENTS = {"lesions-3d": 12, "vessels-2d": 6}  # at each site
# Of the way moved. Rounding grows over rounds (Adam's steps are nearly signs); other noise would be over 100 %.
TOLERANCE = 0.5


@dataclass
class Comparison:
    """What the rounds cost, in order, the first left out."""

    start_up: float = 0.0  # seconds before the first round: enrolment, noise calibration, reservation
    federated: list[Cost] = field(default_factory=list)
    looped: list[Cost] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)  # torch threads of the loop in each round
    difference: float = 0.0  # distance of the final weights, as a share of their way from the initial ones

    def of_loop(self, threads: int) -> tuple[list[Cost], list[Cost]]:
        """Return the costs of the rounds in which the loop had so many threads: federation's and loop's."""
        chosen = [i for i, n in enumerate(self.threads) if n == threads]
        return [self.federated[i] for i in chosen], [self.looped[i] for i in chosen]


@dataclass(frozen=True)
class Federation:
    """Phantom hospitals in a folder, and what they are to train."""

    folder: Path
    recipe: str
    rounds: int

    @property
    def variant(self) -> str:
        """The recipe's variant whose site phase is private steps."""
        return {"lesions-3d": "wgan-gp", "vessels-2d": "wgan"}[self.recipe]

    @property
    def job(self) -> Job:
        """What is asked for."""
        return Job(
            recipe=self.recipe,
            variant=self.variant,
            preset="small",
            epsilon=8.0,
            delta=1e-5,
            rounds=self.rounds,
            sites=SITES,
            noise_source=NoiseSource.SEEDED,
            public_seed=SEED,
            pretrain=False,
            cases=1,
            nonce="",
        )

    @property
    def sites(self) -> list[Path]:
        """The hospitals' folders."""
        return sorted((self.folder / "cohorts").iterdir())

    @property
    def run(self) -> RunFolder:
        """Where the federated run of so many rounds is kept."""
        return RunFolder(self.folder / f"run-{self.rounds}")

    def prepare(self) -> None:
        """Write cohorts and policies."""
        kind, jobs = ("lesions", 1) if self.recipe == "lesions-3d" else ("tof", os.cpu_count() or 1)
        cohorts = Plan(kind, SITES, PATIENTS[self.recipe], SEED, (96, 96, 32))
        for site in write_cohorts(cohorts, self.folder / "cohorts", jobs):
            (site / POLICY_FILE).write_text(POLICY.format(delta=self.job.delta))

    def federate(self, progress: Progress) -> None:
        """Take a new run to settlement; cohorts are read first, as `willis simulate` does."""
        for site in self.sites:
            records_of(site, self.recipe, self.variant, "small", SEED)
        home = Home(self.folder / "federation")
        home.found(self.job.delta, 1)
        self.run.begin(self.job, home.path)
        run_engine("embedded", self.run.path, self.sites, SEED, progress)

    def loop(self, run: Run) -> PlainLoop:
        """Return the plain loop of the same steps."""
        read = {site.name: records_of(site, self.recipe, self.variant, "small", SEED) for site in self.sites}
        return PlainLoop(load(self.recipe, self.variant, "small"), run, read, SEED)


def compare(federation: Federation) -> Comparison:
    """Run the federation and the loop, round about; the federation's cohorts must have been prepared.

    Raises:
        RuntimeError: they did not end with the same weights: they did not do the same work.
    """
    watch = _Watch(federation)
    federation.federate(watch)
    result = watch.result
    recipe, model, run = load_model(federation.run)
    final, start = parameters_to_vector(model.parameters()), recipe.build(run.public_seed).parameters()
    apart = final - parameters_to_vector(watch.loop.model.parameters())
    result.difference = float(apart.norm() / (final - parameters_to_vector(start)).norm())
    if not result.difference <= TOLERANCE:
        raise RuntimeError(f"the loop did other work: its weights are {result.difference:.0%} of the way apart")
    return result


class _Watch:
    """Told of every round's end; times the round, then the loop's."""

    loop: PlainLoop

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self.result = Comparison()
        self._started = time.perf_counter()
        self._stop: Callable[[], Cost] | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """Be told of progress (see `Progress`)."""
        if label == "enrolment":
            self._started = time.perf_counter()
        if label != "rounds":
            return
        if self._stop is None:
            self.result.start_up = time.perf_counter() - self._started
            self.loop = self._federation.loop(self._federation.run.plan())
        else:
            self._compare(done, self._stop())
        self._stop = _stopwatch()

    def _compare(self, round_: int, federated: Cost) -> None:
        before, threads = torch.get_num_threads(), 1 if round_ % 2 else os.cpu_count() or 1
        torch.set_num_threads(threads)
        looped = timed(lambda: self.loop.run_round(round_))
        torch.set_num_threads(before)
        if round_ > 1:
            self.result.federated.append(federated)
            self.result.looped.append(looped)
            self.result.threads.append(threads)


def _stopwatch() -> Callable[[], Cost]:
    wall, cpu = time.perf_counter(), time.process_time()
    return lambda: Cost(time.perf_counter() - wall, time.process_time() - cpu)


def planned_run(federation: Federation) -> Run:
    """Return a run as the coordinator would plan it, without asking the sites."""
    recipe = load(federation.recipe, federation.variant, "small")
    patients = PATIENTS[federation.recipe]
    enrolled = [Enrol(site=s.name, public_key="", patients=patients, cohort="") for s in federation.sites]
    return plan(federation.job, recipe, enrolled)
