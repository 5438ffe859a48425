"""Which layers may touch patients: none that mixes records or keeps what it saw.

The mechanism protects gradients and statistics. A layer that keeps running statistics, or any buffer at all,
would carry patients' records past it, into the update or into the un-noised half of the loss.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm

from shared.errors import ProtocolError


def refuse_leaky_modules(network: nn.Module) -> None:
    """Refuse layers through which one patient could reach another's gradient or leave by a buffer.

    Opacus' validator misses BatchNorm(affine=False) and InstanceNorm(track_running_stats=True, affine=False).

    Raises:
        ProtocolError: naming the layer and why it leaks.
    """
    for name, module in network.named_modules():
        reason = _reason(module)
        if reason:
            raise ProtocolError(f"{name}: {type(module).__name__} {reason}")


def _reason(module: nn.Module) -> str:
    if isinstance(module, _BatchNorm):
        return "mixes the statistics of the records it sees; use GroupNorm"
    if isinstance(module, _NormBase) and module.track_running_stats:
        return "keeps running statistics of patients' records, which would leave without noise"
    unknown = {name for name, _ in module.named_buffers(recurse=False)} - _spectral_buffers(module)
    if unknown:
        return f"keeps the buffer {min(unknown)}, which may carry patients' records past the mechanism"
    return ""


def _spectral_buffers(module: nn.Module) -> set[str]:
    """Return the buffers of spectral norm, in both of torch's forms: they are computed from weights alone."""
    if isinstance(module, _SpectralNorm):
        return {"_u", "_v"}
    return {f"{hook.name}_{end}" for hook in _old_spectral_norms(module) for end in "uv"}


class SpectralClock:
    """Power iterations of spectral norm (Miyato et al. 2018) once a step, instead of once a forward pass.

    The number of forward passes is the number of patients drawn; u and v leave the site and divide the weights
    of the un-noised half of the loss, so iterating with every pass would tell that number.
    """

    def __init__(self, network: nn.Module) -> None:
        """Stop the iterations in every spectral norm of `network`; other layers are left as they are."""
        self._old = [(m, hook) for m in network.modules() for hook in _old_spectral_norms(m)]
        self._new = [(m, n) for m in network.modules() if isinstance(m, ParametrizationList) for n in _spectral(m)]
        for norm in [layer for layer, _ in self._old] + [norm for _, norm in self._new]:
            norm.eval()

    @torch.no_grad()
    def tick(self) -> None:
        """Make one iteration in each."""
        for layer, hook in self._old:
            hook.compute_weight(layer, do_power_iteration=True)
        for weight, norm in self._new:
            norm.train()
            weight()
            norm.eval()


def _old_spectral_norms(module: nn.Module) -> list[SpectralNorm]:
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]


def _spectral(weight: ParametrizationList) -> list[nn.Module]:
    return [part for part in weight if isinstance(part, _SpectralNorm)]
