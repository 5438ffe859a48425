"""What every registered recipe promises of its site phase. Each function fails unless the promise is kept.

They are called by `test_conformance` for every recipe and by `test_controls` on builds broken on purpose.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from shared.errors import ProtocolError
from shared.privacy.events import SampledGaussian
from shared.privacy.mechanism import GaussianSum
from shared.privacy.randomness import SystemRandomness
from shared.recipes.base import GradientPhase, Records
from tests.recipes.subject import Scripted, Stratified, Subject, everyone, nobody, releases, spoilt, watched

ROUNDING = 1e-5  # of float32 weights, beside sums of about 1 and more
ENOUGH = 600_000  # draws: their deviation is within 0.5 % of the true one but for 5 in 10⁸ times
LARGE, FEW = 10_000, 2000  # coordinates of a release; draws where there are fewer
RARE = 1e-7  # chance of a false alarm


def one_unit_moves_the_sum_by_at_most_the_clip_norm(subject: Subject) -> None:
    """Patients of one and of three sessions; contributions as they are, and so large that all are clipped."""
    for scale in (1.0, 1e6):
        subject.strip(scale)
        whole = subject.clipped_sum()
        moved = [float((whole - rest).norm()) for rest in _without_one(subject)]
        assert max(moved) <= subject.clip_norm * (1 + ROUNDING) + ROUNDING
        assert min(moved) > 0
    assert min(moved) >= 0.99 * subject.clip_norm  # the bound was reached, so it was tested


def _without_one(subject: Subject) -> list[Tensor]:
    """Return the sums that lack one unit each: every patient, or a few patches."""
    if not subject.by_patch:
        names = subject.patients
        return [subject.clipped_sum({k: v for k, v in names.items() if k != gone}) for gone in names]

    def all_but(gone: int) -> Callable[[int], NDArray[np.bool_]]:
        return lambda count: np.arange(count) != gone % count

    return [subject.clipped_sum(drawn=all_but(gone)) for gone in (0, 1, 70, 140, -1)]


def an_empty_draw_sums_to_zero(subject: Subject) -> None:
    subject.strip(1.0)
    assert not subject.clipped_sum(drawn=nobody).any()


def a_contribution_that_is_nan_counts_as_zero(subject: Subject) -> None:
    """Images of NaN harm nobody else, and where the contribution itself is NaN nothing is added."""
    subject.strip(1e6)
    (first, records), *_ = subject.patients.items()
    with_spoilt = subject.clipped_sum({**subject.patients, first: spoilt(records)})
    assert bool(torch.isfinite(with_spoilt).all())
    if not subject.by_patch:
        rest = subject.clipped_sum({k: v for k, v in subject.patients.items() if k != first})
        assert float((with_spoilt - rest).norm()) <= subject.clip_norm * (1 + ROUNDING) + ROUNDING
    subject.strip(float("nan"))
    assert not subject.clipped_sum().any()


def a_step_releases_the_declared_noise(subject: Subject) -> None:
    """Measured on what leaves the site: with nobody drawn, and with everyone drawn contributing nothing.

    Releases of few coordinates are pooled, and draw their noise evenly over the normal law: the deviation of
    plain draws is known to 0.5 % only after hundreds of thousands of releases. That the sources of noise are
    as wide as they say is tested with the door.
    """
    subject.strip(0.0)
    for drawn in (nobody, everyone):
        size = len(subject.released(Scripted(drawn=drawn)))
        times = max(1, -(-(ENOUGH if size >= LARGE else FEW) // size))
        source = Scripted(drawn=drawn, noise=None if size >= LARGE else Stratified(times * size))
        noise = torch.cat([subject.released(source) for _ in range(times)])
        std = 2.0 * subject.clip_norm
        assert float(noise.std()) == pytest.approx(std, rel=0.005)
        assert abs(float(noise.mean())) < 6 * std / len(noise) ** 0.5


def units_are_drawn_afresh_for_every_step(subject: Subject) -> None:
    """Who is really read in a step: each unit half the time, whatever the step before read."""
    steps = 10 if subject.by_patch else 40
    present = _who_was_read(subject, steps)
    assert present.shape[0] == steps
    assert binomtest(int(present.sum()), present.size, 0.5).pvalue > RARE
    for lag in (1, 4):
        same = present[lag:] == present[:-lag]
        assert binomtest(int(same.sum()), same.size, 0.5).pvalue > RARE


def _who_was_read(subject: Subject, steps: int) -> NDArray[np.bool_]:
    """Return which units were read in each step (steps, units), at q = 1/2."""
    seen: list[set[tuple[str, int]]] = [set()]

    def note(patient: str, *args: object) -> None:
        numbers = args[0] if subject.by_patch else [0]
        seen[-1].update((patient, int(number)) for number in numbers)  # type: ignore[attr-defined]

    patients = {name: watched(records, partial(note, name)) for name, records in subject.patients.items()}
    with releases(subject.monkeypatch, lambda: seen.append(set())):
        subject.play(subject.run(steps=steps, rate=0.5), SystemRandomness(), patients)
    units = [(name, n) for name, r in patients.items() for n in range(_size(r) if subject.by_patch else 1)]
    return np.array([[unit in step for unit in units] for step in seen[:-1]])


def _size(records: Records) -> int:
    return len(records)  # type: ignore[arg-type]  # patches have a length


def events_equal_steps(subject: Subject) -> None:
    """The event says σ, q and as many steps as there were sums released."""
    done: list[None] = []
    with releases(subject.monkeypatch, lambda: done.append(None)):
        _, executed = subject.play(subject.run(steps=3, rate=0.25), SystemRandomness())
    assert len(done) == 3
    assert executed == SampledGaussian(noise_multiplier=2.0, sampling_rate=0.25, steps=3)


class _Memory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(3))


LEAKS: Mapping[str, tuple[Callable[[], nn.Module], str]] = {
    "batch norm": (lambda: nn.BatchNorm2d(4), "BatchNorm2d mixes the statistics"),
    "bare batch norm": (
        lambda: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
        "BatchNorm2d mixes the statistics",
    ),
    "instance norm": (lambda: nn.InstanceNorm2d(4, track_running_stats=True), "InstanceNorm2d keeps running"),
    "buffer": (_Memory, "_Memory keeps the buffer memory"),
}


def leaky_modules_are_refused(subject: Subject) -> None:
    """In every network the sites read or move, by name and with the reason."""
    moves = subject.phase.moves if isinstance(subject.phase, GradientPhase) else ()
    for network in {*subject.phase.reads, *moves}:
        for leak, reason in LEAKS.values():
            broken = copy.deepcopy(subject.model)
            broken[network].add_module("leak", leak())
            twin = replace(subject, model=broken)
            with _refused(f"{network}.leak: {reason}"):
                twin.play(twin.run(), SystemRandomness())


@contextmanager
def _refused(why: str) -> Iterator[None]:
    """Fail with an AssertionError, unlike `pytest.raises`, where nothing or something else is refused."""
    said = "nothing"
    try:
        yield
    except ProtocolError as err:
        said = str(err)
    assert why in said


def spectral_norm_trains_and_does_not_tell_who_was_drawn(subject: Subject) -> None:
    """In both of torch's forms; with the sum silenced, the update is the same whoever is drawn."""
    for normed in (spectral_norm, old_spectral_norm):
        model = copy.deepcopy(subject.model)
        assert isinstance(subject.phase, GradientPhase)
        for network in {*subject.phase.reads, *subject.phase.moves}:
            for layer in _unnormed_convolutions(model[network]):
                normed(layer)
        twin = replace(subject, model=model)
        run = twin.run(steps=3)
        noisy, _ = twin.play(run, Scripted(drawn=everyone))
        assert all(bool(torch.isfinite(value).all()) for value in noisy.values())
        assert any(not torch.equal(value, twin.start[name]) for name, value in noisy.items())
        with twin.monkeypatch.context() as patch:
            silence_the_door(patch)
            one, other = (twin.play(run, Scripted(drawn=drawn))[0] for drawn in (everyone, nobody))
        assert all(torch.equal(one[name], other[name]) for name in one)


def _unnormed_convolutions(network: nn.Module) -> list[nn.Module]:
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    return [layer for layer in convolutions if not is_parametrized(layer)]


def silence_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the door release zeros in place of the noisy sum."""
    monkeypatch.setattr(GaussianSum, "release", lambda door: [torch.zeros(t.shape) for t in door._sum])
