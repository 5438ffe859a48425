"""Patient-level DP-SGD: the door's main user (Abadi et al. 2016, with the patient as the unit).

Each private step draws every patient with probability q afresh, takes one gradient a patient (any loss, any
layer, gradient penalties too: no per-sample hooks), and lets the door clip, sum and add noise. Opacus'
`DPOptimizer` supplies the rest of the step: division by the *expected* number of units, and the optimiser.
"""

from collections.abc import Callable, Sequence

import torch
from opacus.optimizers import DPOptimizer
from torch import Tensor
from torch.optim import Optimizer

from shared.privacy.events import NonPrivate, SampledGaussian
from shared.privacy.mechanism import PoissonSums, Vectors

PatientLoss = Callable[[int], Tensor]  # index of a drawn patient -> scalar loss over that patient's records


class PrivateOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus ships no types
    """Opacus' optimiser with its two private moves, clipping and noise, replaced by the door."""

    def __init__(self, optimizer: Optimizer, sums: PoissonSums, *, expected: float | None = None) -> None:
        """Wrap `optimizer`; `expected` is the public divisor of every sum, if it is not q · units."""
        self.expected = sums.expected if expected is None else expected
        super().__init__(
            optimizer,
            noise_multiplier=sums.noise_multiplier,
            max_grad_norm=sums.clip_norm,
            expected_batch_size=self.expected,
            loss_reduction="mean",
        )
        self._sums = sums

    def step_with(self, vectors: Vectors, public_loss: Tensor | None) -> None:
        """Make one step on freshly drawn units; `public_loss` reads none and is added un-noised."""
        free = _gradients(public_loss, self.params)  # first: what its graph holds is given back before the loop
        for parameter, noisy in zip(self.params, self._sums.release(self.params, vectors), strict=True):
            parameter.grad = noisy
        self.scale_grad()
        for parameter, known in zip(self.params, free, strict=True):
            if known is not None:
                parameter.grad += known
        self.original_optimizer.step()

    @property
    def accumulated_iterations(self) -> int:
        """One step is one draw; Opacus would read this from per-sample gradients, which are not kept."""
        return 1

    def executed(self) -> SampledGaussian | NonPrivate:
        """Return what ran so far, as counted where the sums are released."""
        return self._sums.executed()


class PatientOptimizer(PrivateOptimizer):
    """Steps on patients: the units of the sums are the site's declared number N."""

    def private_step(self, patient_loss: PatientLoss, public_loss: Tensor | None = None) -> None:
        """Make one step on freshly drawn patients; `public_loss` reads no patient and is added un-noised."""
        self.step_with(
            lambda drawn: (
                torch.autograd.grad(patient_loss(int(index)), self.params, allow_unused=True) for index in drawn
            ),
            public_loss,
        )


def _gradients(loss: Tensor | None, params: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if loss is None:
        return [None] * len(params)
    return torch.autograd.grad(loss, params, allow_unused=True)
