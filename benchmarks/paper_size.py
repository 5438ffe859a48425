"""`python -m benchmarks.paper_size`: rounds at the papers' sizes, meant for a GPU (`WILLIS_DEVICE` chooses one).

A round is what a site and the coordinator do: critic steps through `train_round`, then the generator's steps.
Beside it stands a plain loop of the same networks, optimisers and batches without a door; both in fp32 and in
mixed precision. Records are random: time and memory do not depend on what is in them.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import click
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from client.training import public_stream, randomness_for, train_round
from server.run.job import Job
from server.run.planning import plan
from shared.device import Arithmetic, device, placed
from shared.ledger.events import Run
from shared.models.vessel_gan_3d import COMPLEX_PAPER, COMPLEX_SMALL
from shared.privacy.events import NoiseSource
from shared.privacy.mechanism import Drawn
from shared.recipes.base import GradientPhase
from shared.recipes.catalogue import load
from shared.recipes.vessel_records import EDGE
from shared.recipes.wasserstein import WassersteinRecipe
from simulations.memory import peak_memory

PATIENTS = 4  # of one site; with every patient drawn, a step sees PATIENTS times K records


class RandomRecords:
    """One patient's records, made up when drawn."""

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        self._shape, self._count = shape, count

    def __len__(self) -> int:
        return self._count

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand((count, *self._shape), generator=generator) * 2 - 1

    def take(self, indices: Drawn) -> Tensor:
        return self.draw(len(indices), torch.Generator().manual_seed(int(indices.sum())))


@dataclass(frozen=True)
class Case:
    """A system of the papers, and how one is to run it here."""

    title: str
    variant: tuple[str, str]  # recipe and variant
    shape: tuple[int, ...]  # of a record
    records: int  # of a patient in a step; of a patient in all where the unit is the patch
    rate: float
    epsilon: float | None


def cases(preset: str) -> tuple[Case, Case]:
    """Return the 2D DP-WGAN at the paper's batch of 32 patches, and the largest 3D GAN at its batch of 4."""
    volume = (COMPLEX_SMALL if preset == "small" else COMPLEX_PAPER).shape
    flat = (2, EDGE[preset], EDGE[preset])
    return (
        Case("dp-wgan 2D, noised, batch 32", ("vessels-2d", "dp-wgan"), flat, 80, 0.1, 50.0),
        Case("c-sn-mp 3D, not private, batch 4", ("vessels-3d", "c-sn-mp"), (2, *volume), 1, 1.0, None),
    )


@dataclass(frozen=True)
class Bench:
    """One case in one precision."""

    case: Case
    preset: str
    steps: int
    mixed: bool

    def recipe(self) -> WassersteinRecipe:
        recipe, variant = self.case.variant
        settings = {
            "mixed_precision": self.mixed,
            "steps": self.steps,
            "records": self.case.records,
            "sampling_rate": self.case.rate,
        }
        made = load(recipe, variant, self.preset, private=self.case.epsilon is not None, settings=settings)
        assert isinstance(made, WassersteinRecipe)
        return made

    def run(self, recipe: WassersteinRecipe) -> Run:
        job = Job(
            recipe=recipe.name,
            variant=recipe.variant,
            preset=recipe.preset,
            epsilon=self.case.epsilon,
            delta=1e-5,
            rounds=1,
            sites=1,
            noise_source=NoiseSource.SYSTEM,
            public_seed=1,
            pretrain=False,
            cases=1,
            nonce="",
        )
        return plan(job, recipe, [])

    def willis(self) -> Callable[[], None]:
        """Return a round through the door."""
        recipe = self.recipe()
        run, model = self.run(recipe), placed(recipe.build(1), device())
        generator = recipe.coordinator_optimizer(model)
        patients = {str(n): RandomRecords(self.case.shape, self.case.records) for n in range(PATIENTS)}

        def one_round() -> None:
            source = randomness_for(run, None, "a", 1)
            update, _, _ = train_round(recipe, run, model, patients, {}, source, public_stream(run, "a", 1))
            recipe.receive(model, update, 0.0)
            recipe.coordinate(model, generator, 1, False, _say_nothing)

        return one_round

    def plain(self) -> Callable[[], None]:
        """Return the same steps in a loop without a door: one backward pass over all records and fakes."""
        recipe = self.recipe()
        model, where = placed(recipe.build(1), device()), device()
        arithmetic = Arithmetic(where, self.mixed)
        generator, phase, random = (
            recipe.coordinator_optimizer(model),
            recipe.phase,
            torch.Generator().manual_seed(1),
        )
        assert isinstance(phase, GradientPhase)
        critic = phase.optimizer(list(model["critic"].parameters()))
        batch = round(PATIENTS * self.case.records * self.case.rate)
        records = RandomRecords(self.case.shape, batch)

        def loss() -> Tensor:
            real = phase.patient_loss(model, records.draw(batch, random).to(where), random)
            fake = phase.public_loss(model, batch, random)
            return real if fake is None else real + fake

        def one_round() -> None:
            _only(model, "critic")
            for _ in range(self.steps):
                arithmetic.descend(critic, loss)
                phase.project(model)
            recipe.coordinate(model, generator, 1, False, _say_nothing)

        return one_round


@click.command()
@click.option("--preset", type=click.Choice(["small", "paper"]), default="paper", show_default=True)
@click.option(
    "--steps", default=100, show_default=True, help="Critic steps a round; two rounds, the second timed."
)
def main(preset: str, steps: int) -> None:
    """Print time and memory of paper-size steps, in fp32 and mixed precision, beside a plain loop."""
    warnings.filterwarnings("ignore")
    where = device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    table = Table("system", title=f"{name}, preset {preset}, {steps} critic steps", box=SIMPLE_HEAD)
    for heading in ("precision", "loop ms a step", "Willis ms a step", "× loop", "peak MB", "of fp32"):
        table.add_column(heading, justify="right")
    for case in cases(preset):
        full = 0.0
        for mixed in (False, True):
            bench = Bench(case, preset, steps, mixed)
            plain, _ = _measured(bench.plain())
            ours, memory = _measured(bench.willis())
            full = full or memory
            cells = (f"{1e3 * plain / steps:.1f}", f"{1e3 * ours / steps:.1f}", f"{ours / plain:.2f}")
            share = f"{memory / full:.2f}" if full else "-"
            table.add_row(case.title, "mixed" if mixed else "fp32", *cells, f"{memory / 1e6:.0f}", share)
    Console(highlight=False).print(table)
    if where.type != "cuda":
        print("No GPU here: memory is the process's peak so far, and 16-bit arithmetic is slow on most CPUs.")


def _measured(one_round: Callable[[], None]) -> tuple[float, float]:
    """Return seconds of a second round and the peak of memory in bytes."""
    where = device()
    if where.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(where)
    one_round()
    start = time.perf_counter()
    one_round()
    if where.type == "cuda":
        torch.cuda.synchronize(where)
        return time.perf_counter() - start, float(torch.cuda.max_memory_allocated(where))
    return time.perf_counter() - start, float(peak_memory())


def _only(model: nn.ModuleDict, moved: str) -> None:
    for name, network in model.items():
        network.requires_grad_(name == moved)


def _say_nothing(label: str, done: int, total: int) -> None:
    pass


if __name__ == "__main__":
    main()
