"""The recipes there are. Recipes are found by looking at this folder: a new one needs one new module."""

import importlib
import pkgutil

import shared.recipes
from shared.errors import UsageError
from shared.recipes.base import Recipe

_INFRASTRUCTURE = {"base", "catalogue"}


def catalogue() -> dict[str, type[Recipe]]:
    """Return every recipe class by name; each module of this folder defines one, called `RECIPE`."""
    found: dict[str, type[Recipe]] = {}
    for module in pkgutil.iter_modules(shared.recipes.__path__):
        if module.name not in _INFRASTRUCTURE:
            recipe = importlib.import_module(f"shared.recipes.{module.name}").RECIPE
            found[recipe.name] = recipe
    return found


def load(name: str, variant: str | None, preset: str) -> Recipe:
    """Return the recipe called `name`; its first variant when none is given.

    Raises:
        UsageError: no such recipe, variant or preset, with those there are.
    """
    known = catalogue()
    if name not in known:
        raise UsageError(f"recipe {name!r} is unknown; choose one of: {', '.join(sorted(known))}")
    recipe = known[name]
    variant = variant or recipe.variants[0]
    if variant not in recipe.variants:
        raise UsageError(f"{name} has no variant {variant!r}; choose one of: {', '.join(recipe.variants)}")
    if preset not in recipe.presets:
        raise UsageError(f"{name} has no preset {preset!r}; choose one of: {', '.join(recipe.presets)}")
    return recipe(variant, preset)
