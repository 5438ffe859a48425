"""An optimiser's tensors as named arrays, so that they fit in a safetensors file."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer


def save_state(optimizer: Optimizer | None) -> dict[str, Tensor]:
    """Return the optimiser's tensors, named `<parameter index>/<field>`; empty for None."""
    state = optimizer.state_dict()["state"] if optimizer else {}
    return {
        f"{i}/{key}": torch.as_tensor(v).cpu().contiguous()
        for i, fields in state.items()
        for key, v in fields.items()
    }


def load_state(optimizer: Optimizer | None, arrays: Mapping[str, Tensor]) -> None:
    """Put back what `save_state` returned; empty arrays leave a fresh optimiser."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        index, key = name.split("/", 1)
        state.setdefault(int(index), {})[key] = value
    if optimizer and state:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
