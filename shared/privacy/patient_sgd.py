"""Patient-level DP-SGD: the door's main user (Abadi et al. 2016, with the patient as the unit).

Each private step draws every patient with probability q afresh, takes one gradient a patient (any loss, any
layer, gradient penalties too: no per-sample hooks), and lets the door clip, sum and add noise. Opacus'
`DPOptimizer` supplies the rest of the step: division by the *expected* number of patients, the optimiser,
and the step hook by which its accountant counts what really ran.
"""

from collections.abc import Callable, Sequence

import torch
from opacus.accountants import RDPAccountant
from opacus.optimizers import DPOptimizer
from torch import Tensor
from torch.optim import Optimizer

from shared.errors import ProtocolError
from shared.privacy.events import NonPrivate, SampledGaussian
from shared.privacy.mechanism import GaussianSum
from shared.privacy.randomness import Randomness

PatientLoss = Callable[[int], Tensor]  # index of a drawn patient -> scalar loss over that patient's records


class PatientOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus ships no types
    """Opacus' optimiser with its two private moves replaced by the door."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        noise_multiplier: float,
        clip_norm: float,
        sampling_rate: float,
        patients: int,
        randomness: Randomness,
    ) -> None:
        """Wrap `optimizer`; `patients` is the site's declared number N, `sampling_rate` is q.

        A noise multiplier of 0 makes the step non-private (clipping still applies unless clip_norm is
        infinite); the caller must have been told so by name.
        """
        super().__init__(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=clip_norm,
            expected_batch_size=sampling_rate * patients,
            loss_reduction="mean",
        )
        self._patients = patients
        self._sampling_rate = sampling_rate
        self._randomness = randomness
        self._accountant = RDPAccountant()
        self.attach_step_hook(self._accountant.get_optimizer_hook_fn(sampling_rate))

    def private_step(self, patient_loss: PatientLoss, public_loss: Tensor | None = None) -> None:
        """Make one step on freshly drawn patients; `public_loss` reads no patient and is added un-noised."""
        free = _gradients(public_loss, self.params)  # first: what its graph holds is given back before the loop
        drawn = self._randomness.bernoulli(self._patients, self._sampling_rate)
        door = GaussianSum(self.params, self.max_grad_norm, self.noise_multiplier, self._randomness)
        for index in drawn.nonzero()[0]:
            door.add(torch.autograd.grad(patient_loss(int(index)), self.params, allow_unused=True))
        for parameter, noisy in zip(self.params, door.release(), strict=True):
            parameter.grad = noisy
        self.scale_grad()
        for parameter, known in zip(self.params, free, strict=True):
            if known is not None:
                parameter.grad += known
        self.step_hook(self)
        self.original_optimizer.step()

    @property
    def accumulated_iterations(self) -> int:
        """One step is one draw; Opacus would read this from per-sample gradients, which do not exist here."""
        return 1

    def executed(self) -> SampledGaussian | NonPrivate:
        """Return what ran so far, as counted by the Opacus accountant's step hook."""
        steps = sum(count for _, _, count in self._accountant.history)
        if self.noise_multiplier == 0:
            return NonPrivate(steps=steps)
        return SampledGaussian(
            noise_multiplier=self.noise_multiplier, sampling_rate=self._sampling_rate, steps=steps
        )


def _gradients(loss: Tensor | None, params: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if loss is None:
        return [None] * len(params)
    return torch.autograd.grad(loss, params, allow_unused=True)


def refuse_leaky_modules(network: torch.nn.Module) -> None:
    """Refuse modules through which one patient could reach another's gradient or leave by a buffer.

    Opacus' validator misses BatchNorm(affine=False) and InstanceNorm(track_running_stats=True, affine=False).

    Raises:
        ProtocolError: naming the module and why it leaks.
    """
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            raise ProtocolError(f"{name}: {type(module).__name__} mixes patients' statistics; use GroupNorm")
        if next(module.buffers(recurse=False), None) is not None:
            raise ProtocolError(f"{name}: {type(module).__name__} keeps buffers that bypass the mechanism")
