"""Where networks compute, and that mixed precision changes digits and nothing else."""

import pytest
import torch
from torch import nn

from shared.device import VARIABLE, Arithmetic, device, home, placed
from shared.errors import UsageError


def test_a_device_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cuda:99")
    with pytest.raises(UsageError, match="WILLIS_DEVICE=cuda:99: no such device here"):
        device()
    monkeypatch.setenv(VARIABLE, "cpu")
    assert device() == torch.device("cpu")


@pytest.mark.parametrize("mixed", [False, True])
def test_a_step_in_mixed_precision_is_the_same_step_but_for_rounding(mixed: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 8, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 36, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    images = torch.randn(4, 2, 8, 8)
    before = [p.detach().clone() for p in network.parameters()]
    exact = torch.autograd.grad(network(images).square().mean(), list(network.parameters()))
    Arithmetic(torch.device("cpu"), mixed).descend(optimizer, lambda: network(images).float().square().mean())
    tolerance = 0.03 if mixed else 1e-6
    moved = [b - p.detach() for b, p in zip(before, network.parameters(), strict=True)]
    for step, gradient in zip(moved, exact, strict=True):
        assert step.dtype == torch.float32
        assert (step - gradient).norm() <= tolerance * gradient.norm()
    assert any(not torch.equal(s, g) for s, g in zip(moved, exact, strict=True)) or not mixed


def test_sixteen_bits_are_really_used() -> None:
    arithmetic = Arithmetic(torch.device("cpu"), mixed=True)
    with arithmetic.precision():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == arithmetic.half == torch.bfloat16


def test_what_leaves_a_device_is_plain() -> None:
    model = placed(nn.ModuleDict({"critic": nn.Conv2d(2, 4, 3)}), torch.device("cpu"))
    odd = {"weight": model.state_dict()["critic.weight"].to(memory_format=torch.channels_last)}
    assert home(odd)["weight"].is_contiguous()
    assert torch.equal(home(odd)["weight"], odd["weight"])
