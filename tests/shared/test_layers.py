"""Which layers are refused, and that spectral norm iterates once a step."""

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils.parametrizations import spectral_norm

from shared.errors import ProtocolError
from shared.privacy.layers import SpectralClock, refuse_leaky_modules


def normed(form: object) -> nn.Sequential:
    assert callable(form)
    torch.manual_seed(0)
    return nn.Sequential(form(nn.Conv2d(1, 4, 3)), nn.LeakyReLU(0.2), form(nn.Conv2d(4, 1, 3)))


@pytest.mark.parametrize(
    ("leak", "reason"),
    [
        (nn.BatchNorm2d(4), "mixes the statistics"),
        # Opacus' validator lets these two pass.
        (nn.BatchNorm2d(4, affine=False, track_running_stats=False), "mixes the statistics"),
        (nn.InstanceNorm2d(4, affine=False, track_running_stats=True), "keeps running statistics"),
    ],
    ids=["batch", "batch-bare", "instance-running"],
)
def test_modules_that_leak_are_refused_by_name_with_the_reason(leak: nn.Module, reason: str) -> None:
    with pytest.raises(ProtocolError, match=f"1: {type(leak).__name__} {reason}"):
        refuse_leaky_modules(nn.Sequential(nn.Conv2d(1, 4, 3), leak))


def test_group_norm_and_plain_instance_norm_pass() -> None:
    refuse_leaky_modules(nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.Dropout()))


@pytest.mark.parametrize("form", [spectral_norm, old_spectral_norm], ids=["parametrized", "old"])
def test_spectral_norm_passes_and_any_other_buffer_beside_it_does_not(form: object) -> None:
    network = normed(form)
    refuse_leaky_modules(network)
    network[0].register_buffer("memory", torch.zeros(1))
    with pytest.raises(ProtocolError, match="memory"):
        refuse_leaky_modules(network)


@pytest.mark.parametrize("form", [spectral_norm, old_spectral_norm], ids=["parametrized", "old"])
def test_spectral_norm_iterates_with_the_clock_and_not_with_forward_passes(form: object) -> None:
    clocked, reference = normed(form), normed(form)
    clock = SpectralClock(clocked)
    images = torch.randn(2, 1, 6, 6)
    for _ in range(5):
        clocked(images)
    assert not all(torch.equal(a, b) for a, b in zip(clocked.buffers(), _after_one(reference), strict=True))
    clock.tick()
    for ours, theirs in zip(clocked.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def _after_one(network: nn.Module) -> list[torch.Tensor]:
    network(torch.zeros(1, 1, 6, 6))
    return list(network.buffers())
