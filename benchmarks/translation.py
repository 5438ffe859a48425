"""`python -m benchmarks.translation`: slices a second of each translator, and what a private step of it costs.

Both steps see the same records of all patients and move generator and discriminator together. Plain: one
backward pass over them, one move of the optimiser. Private: `PatientOptimizer` with every patient drawn, one
clipped gradient a patient over both networks. Between them stands what no mechanism can go below: the same
passes patient by patient, unclipped, without noise. Records are random: times do not depend on what is in them.

On two idle cores, CPU time over plain, the private step was 1.10 (pix2pix), 1.08 (spade) and 1.09 (cyclegan), of
which the passes alone were 1.02, 1.04 and 1.08: 24 slices at once share what six times 4 do not. On a busy machine
they share more, and the ratios were 1.24, 1.36 and 1.19.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import click
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.timing import in_turns, median, ratio
from shared.device import Arithmetic, device, placed
from shared.imaging.anatomy import CLASSES
from shared.privacy.mechanism import PoissonSums
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import SystemRandomness
from shared.recipes.catalogue import catalogue, load
from shared.recipes.slice_records import one_hot
from shared.recipes.translate_2d import Translation
from shared.recipes.translation import Translator
from shared.recipes.translator_recipe import EDGE

_NAME = Translation.name


@dataclass(frozen=True)
class Bench:
    """One translator and what it is shown in a step: `records` of each of `patients`."""

    variant: str
    preset: str
    patients: int
    records: int

    @property
    def edge(self) -> int:
        return EDGE[self.preset]

    @property
    def volume(self) -> int:
        """Slices of a volume."""
        return self.edge // 4

    def ways(self) -> dict[str, Callable[[], None]]:
        """Return a volume's drawing and the steps, each with networks of its own."""
        return {"draw": self.draw(), "plain": self.plain(), "apart": self.apart(), "private": self.private()}

    def draw(self) -> Callable[[], None]:
        model, random = self._model(), torch.Generator().manual_seed(1)
        generator = cast(Translator, model["generator"])
        maps = one_hot(self._slices(self.volume)[:, 0]).to(device())

        def one_volume() -> None:
            with torch.no_grad():
                generator.draw_volume(maps, random).cpu()

        return one_volume

    def plain(self) -> Callable[[], None]:
        model, random = self._model(), torch.Generator().manual_seed(1)
        optimizer = self._recipe().phase.optimizer(self._moved(model))
        records = self._slices(self.patients * self.records).to(device())
        arithmetic, phase = Arithmetic(device(), mixed=False), self._recipe().phase
        return lambda: arithmetic.descend(optimizer, lambda: phase.patient_loss(model, records, random))

    def apart(self) -> Callable[[], None]:
        """Return a plain step that sees one patient after another, as a private one must."""
        model, random = self._model(), torch.Generator().manual_seed(1)
        phase = self._recipe().phase
        optimizer = phase.optimizer(self._moved(model))
        patients = torch.split(self._slices(self.patients * self.records).to(device()), self.records)

        def one_step() -> None:
            optimizer.zero_grad()
            for records in patients:
                phase.patient_loss(model, records, random).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return one_step

    def private(self) -> Callable[[], None]:
        model, random = self._model(), torch.Generator().manual_seed(1)
        phase = self._recipe().phase
        sums = PoissonSums(
            noise_multiplier=1.0,
            clip_norm=1.0,
            sampling_rate=1.0,
            units=self.patients,
            randomness=SystemRandomness(),
        )
        optimizer = PatientOptimizer(phase.optimizer(self._moved(model)), sums)
        records = torch.split(self._slices(self.patients * self.records).to(device()), self.records)
        return lambda: optimizer.private_step(lambda index: phase.patient_loss(model, records[index], random))

    def _recipe(self) -> Translation:
        recipe = load(_NAME, self.variant, self.preset)
        assert isinstance(recipe, Translation)
        return recipe

    def _model(self) -> nn.ModuleDict:
        return placed(self._recipe().build(1), device())

    def _moved(self, model: nn.ModuleDict) -> list[nn.Parameter]:
        return [p for name in self._recipe().phase.moves for p in model[name].parameters()]

    def _slices(self, count: int) -> Tensor:
        """Return records (count, 2, edge, edge): random classes, random images."""
        shape = (count, 1, self.edge, self.edge)
        return torch.cat([torch.randint(CLASSES, shape).float(), 2 * torch.rand(shape) - 1], dim=1)


@click.command()
@click.option("--preset", type=click.Choice(Translation.presets), default="small", show_default=True)
@click.option("--patients", default=6, show_default=True)
@click.option("--records", default=4, show_default=True, help="Slices of each patient in a step.")
@click.option("--turns", default=7, show_default=True)
def main(preset: str, patients: int, records: int, turns: int) -> None:
    """Print how fast each translator draws, and its private step beside a plain one."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    where = device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU, one thread"
    title = f"{name}, preset {preset}, {patients} patients x {records} slices"
    table = Table("variant", title=title, box=SIMPLE_HEAD)
    for heading in ("slices drawn a second", "plain ms", "private ms", "× CPU", "× wall", "× CPU apart"):
        table.add_column(heading, justify="right")
    for variant in catalogue()[_NAME]:
        bench = Bench(variant, preset, patients, records)
        costs = in_turns(bench.ways(), turns)
        times, apart = (ratio(costs[way], costs["plain"]) for way in ("private", "apart"))
        steps = [f"{1e3 * median(costs[way]).wall:.0f}" for way in ("plain", "private")]
        speed = f"{bench.volume / median(costs['draw']).wall:.0f}"
        table.add_row(variant, speed, *steps, f"{times.cpu:.2f}", f"{times.wall:.2f}", f"{apart.cpu:.2f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
