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

    def __init__(
        self,
        optimizer: Optimizer,
        sums: PoissonSums,
        *,
        expected: float | None = None,
        loss_scale: float = 1.0,
    ) -> None:
        """Wrap `optimizer`.

        `expected` is the public divisor of every sum, if it is not q · units. Losses are given `loss_scale` times
        too large, so that 16-bit gradients do not vanish; gradients are divided by it before they are clipped.
        """
        self.expected = sums.expected if expected is None else expected
        super().__init__(
            optimizer,
            noise_multiplier=sums.noise_multiplier,
            max_grad_norm=sums.clip_norm,
            expected_batch_size=self.expected,
            loss_reduction="mean",
        )
        self._sums = sums
        self._loss_scale = loss_scale

    def step_with(self, vectors: Vectors, public_loss: Tensor | None) -> None:
        """Make one step on freshly drawn units; `public_loss` reads none and is added un-noised."""
        free = self.gradients(public_loss)  # first: what its graph holds is given back before the loop
        for parameter, noisy in zip(self.params, self._sums.release(self.params, vectors), strict=True):
            parameter.grad = noisy
        self.scale_grad()
        for parameter, known in zip(self.params, free, strict=True):
            if known is not None:
                parameter.grad += known
        self.original_optimizer.step()

    def gradients(self, loss: Tensor | None) -> Sequence[Tensor | None]:
        """Return the gradients of a loss; None for parameters it does not reach."""
        if loss is None:
            return [None] * len(self.params)
        return self.unscaled(torch.autograd.grad(loss, self.params, allow_unused=True))

    def unscaled(self, gradients: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """Return gradients of losses as they would be without the loss scale."""
        if self._loss_scale == 1.0:
            return gradients
        return [None if g is None else g / self._loss_scale for g in gradients]

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
        self.step_with(lambda drawn: (self.gradients(patient_loss(int(index))) for index in drawn), public_loss)
