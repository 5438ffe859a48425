"""What `willis evaluate` was asked for, and how it shows that it is at work."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from shared.evaluation.published import Published
from shared.evaluation.utility import Tissue
from shared.recipes.base import Progress


@dataclass(frozen=True)
class Asked:
    """The settings of one evaluation."""

    real: Path  # cohorts the run was trained on
    held_out: Path  # cohorts nobody was trained on
    steps: int  # updates of each training
    repeats: int  # trainings of each kind
    seed: int
    combined: bool  # whether to train on synthetic pairs together with public, and with real ones, too
    beside: tuple[Published, ...] = ()  # other data sets or samples, a row each: a noise-free twin, say
    tissue: Tissue = Tissue.INTRACRANIAL  # where vessels are judged
    quick: bool = False  # whether to leave out image quality
    features: Path | None = None  # TorchScript feature network; None for the public vessel encoder


@dataclass
class Counter:
    """One progress bar, moved on by one at each call."""

    report: Progress
    what: str
    total: int
    _ticks: Iterator[int] = field(default_factory=lambda: count(1), init=False)  # safe between threads

    def __call__(self) -> None:
        """Move on by one."""
        self.report(self.what, next(self._ticks), self.total)
