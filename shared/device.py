"""Where networks compute: a GPU if there is one, with mixed precision where a recipe asks for it.

What crosses a border (the wire, a checkpoint, a file) is always on the CPU, so nothing else knows of devices.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.errors import UsageError

VARIABLE = "WILLIS_DEVICE"
HALF_SCALE = 2.0**10  # of losses in float16, whose small gradients would vanish; bfloat16 needs none
_BFLOAT16_FROM = 8  # compute capability: older GPUs only emulate it


def device() -> torch.device:
    """Return the device that `WILLIS_DEVICE` names, such as cpu or cuda:1; else a GPU if there is one, else cpu.

    Raises:
        UsageError: no such device here.
    """
    wanted = os.environ.get(VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as err:
        raise UsageError(
            f"{VARIABLE}={wanted}: no such device here; use cpu, cuda or cuda:0, cuda:1, ..."
        ) from err
    return torch.device(wanted)


def placed(model: nn.ModuleDict, where: torch.device) -> nn.ModuleDict:
    """Move networks to a device, in place; on a GPU convolution weights are laid out channels last."""
    model.to(where)
    if where.type == "cuda":
        for parameter in model.parameters():
            layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(parameter.ndim)
            if layout is not None:
                parameter.data = parameter.data.contiguous(memory_format=layout)
    return model


def home(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the arrays on the CPU, laid out plainly."""
    return {name: value.detach().cpu().contiguous() for name, value in arrays.items()}


@dataclass(frozen=True)
class Arithmetic:
    """How losses are computed: where, and whether in mixed precision (Micikevicius et al., 2018).

    Mixed: convolutions and products are 16-bit; weights, gradients of weights, sums and noise stay 32-bit.
    """

    where: torch.device
    mixed: bool

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type that multiplies fast there."""
        if self.where.type == "cuda" and torch.cuda.get_device_capability(self.where)[0] < _BFLOAT16_FROM:
            return torch.float16
        return torch.bfloat16

    @property
    def loss_scale(self) -> float:
        """How many times too large losses are; gradients are divided by it."""
        return HALF_SCALE if self.mixed and self.half is torch.float16 else 1.0

    def precision(self) -> AbstractContextManager[object]:
        """Return the context to compute in."""
        return torch.autocast(self.where.type, dtype=self.half) if self.mixed else nullcontext()

    def descend(self, optimizer: Optimizer, loss: Callable[[], Tensor]) -> None:
        """Make one step of an optimiser whose parameters alone require gradients."""
        with self.precision():
            value = loss()
        optimizer.zero_grad()
        torch.autograd.backward(value * self.loss_scale)
        if self.loss_scale != 1.0:
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                parameter.grad = None if parameter.grad is None else parameter.grad / self.loss_scale
        optimizer.step()
