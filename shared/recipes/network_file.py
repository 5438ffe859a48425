"""A trained generator in one file, for hospitals that use it: weights, what they are, and what they cost whom.

The format is safetensors, which runs no code when it is read; what a file says of itself is in its metadata.
"""

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from shared.errors import UsageError
from shared.recipes.base import Recipe
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from shared.recipes.wasserstein import SMOOTHED

_KEY = "willis"


class About(BaseModel):
    """What a file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    recipe: str
    variant: str
    preset: str
    settings: dict[str, Setting]
    private: bool
    claim: str = Field(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]+$")  # never a bare ε; if not private, why
    ledger: dict[str, int | str]  # size and root of the ledger the claim follows from


def network_bytes(generator: nn.Module, about: About) -> bytes:
    """Return the file; the same generator gives the same bytes."""
    weights = {name: value.contiguous() for name, value in generator.state_dict().items()}
    content: bytes = save(weights, {_KEY: about.model_dump_json()})
    return content


def about_of(path: Path) -> About:
    """Return what a file says of itself; its weights are not read.

    Raises:
        UsageError: the file is no network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return About.model_validate_json((file.metadata() or {}).get(_KEY, ""))
    except (OSError, ValidationError, SafetensorError) as err:
        msg = "no network of Willis; ask the coordinator for a file of `willis network`"
        raise UsageError(f"{path}: {msg}") from err


def read_network(path: Path, recipe: str) -> tuple[Recipe, nn.Module, About]:
    """Return recipe and generator of a file, and what it says of itself.

    Raises:
        UsageError: the file is no network, or of another recipe than the one called `recipe`.
    """
    about = about_of(path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise UsageError(f"{path}: holds weights that are not finite; ask for the file again")
    if about.recipe != recipe:
        raise UsageError(f"{path}: a network of recipe {about.recipe}; one of {recipe} is needed")
    made = load(about.recipe, about.variant, about.preset, private=about.private, settings=about.settings)
    generator = made.build(0)[SMOOTHED]
    try:
        generator.load_state_dict(weights)
    except RuntimeError as err:
        msg = f"its weights do not fit the {about.recipe} of this version; install the one it was made by"
        raise UsageError(f"{path}: {msg}") from err
    return made, generator.eval(), about
