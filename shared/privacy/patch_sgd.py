"""DP-SGD with the patch as the unit, only to reproduce papers (Kossen et al. 2022): never publishable.

A patient gives up to a thousand patches, so what this bounds says nothing of what is learnt about a patient.
Opacus' hooks give a gradient a patch; clipping, noise and draws are those of `PrivateOptimizer`. Two things
of the paper's code are not repeated: it drew one Poisson batch and used it for all five critic updates, which
its accountant priced as five draws, where every update here draws afresh; and it added noise to the fake half
of the loss too, and paid for it, which reads no patch and is free.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from opacus.grad_sample import GradSampleHooks
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.errors import ProtocolError
from shared.privacy.mechanism import Drawn, PoissonSums, Vector
from shared.privacy.patient_sgd import PrivateOptimizer


@runtime_checkable
class Patches(Protocol):
    """One patient's records, each a unit of its own."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def take(self, indices: Drawn) -> Tensor:
        """Return the (n, channels, ...) float32 records with these numbers, as they are."""
        ...


PatchLoss = Callable[[Drawn], Tensor]  # numbers of n drawn patches -> mean over them of their losses

_AT_ONCE = 8  # patches a pass: each holds a gradient of the network's size


class PooledPatches:
    """The patches of all patients of a site, one after another."""

    def __init__(self, patients: Sequence[object]) -> None:
        """Join them.

        Raises:
            ProtocolError: the recipe's records cannot be taken one by one.
        """
        self._patients = [records for records in patients if isinstance(records, Patches)]
        if len(self._patients) != len(patients):
            raise ProtocolError("the recipe's unit is the patch and its records cannot be taken one by one")
        self._owner = np.repeat(np.arange(len(patients)), [len(records) for records in self._patients])
        self._place = np.concatenate([np.arange(len(records)) for records in self._patients])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._owner)

    def take(self, indices: Drawn) -> Tensor:
        """Return the (n, channels, ...) patches with these numbers."""
        pairs = zip(self._owner[indices], self._place[indices], strict=True)
        return torch.cat([self._patients[owner].take(np.array([place])) for owner, place in pairs])


class PatchOptimizer(PrivateOptimizer):
    """Steps on patches."""

    def __init__(
        self,
        optimizer: Optimizer,
        networks: Sequence[nn.Module],
        sums: PoissonSums,
        *,
        expected: float,
        loss_scale: float = 1.0,
    ) -> None:
        """Wrap `optimizer`, which moves the parameters of `networks`; see `PrivateOptimizer`.

        The units of `sums` are the patches there are, which is not public; `expected` is the number drawn if
        every patient gave its nominal number, which is.
        """
        super().__init__(optimizer, sums, expected=expected, loss_scale=loss_scale)
        self._networks = networks

    def private_step(self, patch_loss: PatchLoss, public_loss: Tensor | None = None) -> None:
        """Make one step on freshly drawn patches; `public_loss` reads none and is added un-noised."""
        self.step_with(lambda drawn: self._gradients(drawn, patch_loss), public_loss)

    def _gradients(self, drawn: Drawn, patch_loss: PatchLoss) -> Iterator[Vector]:
        """Yield each drawn patch's gradient. Hooks are there for the private pass alone: fakes never meet them."""
        for start in range(0, len(drawn), _AT_ONCE):
            batch = drawn[start : start + _AT_ONCE]
            hooks = [GradSampleHooks(network, loss_reduction="mean") for network in self._networks]
            try:
                torch.autograd.grad(patch_loss(batch), self.params, allow_unused=True)
                each = [getattr(p, "grad_sample", None) for p in self.params]
                yield from (
                    self.unscaled([None if g is None else g[row] for g in each]) for row in range(len(batch))
                )
            finally:
                for hook, network in zip(hooks, self._networks, strict=True):
                    hook.cleanup()
                    for module in network.modules():  # what a pass that failed left would go to the next one
                        vars(module).pop("activations", None)
