"""Patch SGD agrees with one gradient a patch, and leaves no hook behind."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared.errors import ProtocolError
from shared.privacy.mechanism import Drawn, PoissonSums
from shared.privacy.patch_sgd import PatchOptimizer, PooledPatches
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import SeededRandomness

CLIP = 0.05


@dataclass
class Patient:
    patches: Tensor

    def __len__(self) -> int:
        return len(self.patches)

    def take(self, indices: Drawn) -> Tensor:
        return self.patches[indices]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, bias=False), nn.InstanceNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4)
    return nn.Sequential(*layers, nn.Flatten(0))


def sums(units: int, rate: float = 0.5) -> PoissonSums:
    seeded = SeededRandomness(3, "patches")
    return PoissonSums(noise_multiplier=1.0, clip_norm=CLIP, sampling_rate=rate, units=units, randomness=seeded)


def patients() -> list[Patient]:
    random = torch.Generator().manual_seed(1)
    return [Patient(torch.randn(n, 1, 6, 6, generator=random)) for n in (20, 1, 9)]


def test_a_step_is_that_of_one_gradient_a_patch_and_fakes_stay_out_of_it() -> None:
    """Same draws and noise for hooks and for a loop; more patches than fit in a pass."""
    patches, fakes = PooledPatches(patients()), torch.randn(4, 1, 6, 6)
    ours, loop = network(), network()
    by_hooks = PatchOptimizer(torch.optim.SGD(ours.parameters(), lr=1.0), [ours], sums(30), expected=10.0)
    by_loop = PatientOptimizer(torch.optim.SGD(loop.parameters(), lr=1.0), sums(30), expected=10.0)
    for _ in range(3):
        by_hooks.private_step(lambda n: -ours(patches.take(n)).mean(), ours(fakes).mean())
        by_loop.private_step(lambda n: -loop(patches.take(np.array([n]))).mean(), loop(fakes).mean())
    for a, b in zip(ours.parameters(), loop.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert by_hooks.executed() == by_loop.executed()


def test_nothing_of_opacus_stays_on_the_network() -> None:
    net, patches = network(), PooledPatches(patients())
    before = [set(vars(module)) for module in net.modules()]
    optimizer = PatchOptimizer(torch.optim.SGD(net.parameters(), lr=1.0), [net], sums(30), expected=1.0)

    def fail(drawn: Drawn) -> Tensor:
        raise OSError(net(patches.take(drawn)))

    optimizer.private_step(lambda n: net(patches.take(n)).mean())
    with pytest.raises(OSError):  # noqa: PT011  # raised above
        optimizer.private_step(fail)
    assert not any(module._forward_hooks or module._backward_hooks for module in net.modules())
    assert not any(hasattr(p, "grad_sample") for p in net.parameters())
    assert [set(vars(module)) for module in net.modules()] == before


def test_patches_are_pooled_in_the_order_of_patients() -> None:
    pooled = PooledPatches(patients())
    assert len(pooled) == 30
    assert torch.equal(pooled.take(np.array([29, 20, 3])), torch.cat([p.patches for p in patients()])[[29, 20, 3]])


def test_records_that_cannot_be_taken_one_by_one_are_refused() -> None:
    with pytest.raises(ProtocolError, match="one by one"):
        PooledPatches([object()])
