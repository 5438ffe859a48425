"""The gradient penalty that keeps a Wasserstein critic near slope one (Gulrajani et al., 2017)."""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator,
    *,
    of_batch: bool = False,
) -> Tensor:
    """Return the mean over samples of (‖∇ critic(x)‖₂ − 1)², a scalar to be multiplied by λ and minimised.

    Each x lies at its own uniform place between a real and a fake sample, both (b, channels, spatial ...),
    and each sample has its own norm over all its elements. With `of_batch` there is one place and one norm for
    the whole batch, as in the code published with Kossen et al. (2021) and Subramaniam et al. (2022): it
    pushes every slope to 1/√b instead, and is for reproducing them alone.

    The critic maps (b, ...) to b scores, and must treat samples independently (no batch statistics) and hold
    no in-place activation, for the penalty is differentiated again. Raises ValueError if real and fake differ
    in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real {tuple(real.shape)} and fake {tuple(fake.shape)} differ in shape")
    shape = (1 if of_batch else len(real),) + (1,) * (real.ndim - 1)
    place = torch.rand(shape, generator=generator, dtype=real.dtype, device=generator.device).to(real.device)
    between = torch.lerp(real.detach(), fake.detach(), place).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = torch.linalg.vector_norm(slope.flatten() if of_batch else slope.flatten(1), dim=-1)
    return torch.mean((norm - 1.0) ** 2)
