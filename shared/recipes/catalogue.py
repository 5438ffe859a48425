"""The recipes there are. Recipes are found by looking at this folder: a new one needs one new module."""

import importlib
import pkgutil

import shared.recipes
from shared.errors import UsageError
from shared.recipes.base import Recipe


def catalogue() -> dict[str, dict[str, type[Recipe]]]:
    """Return every recipe class by name and variant; a module that defines one calls it `RECIPE`."""
    found: dict[str, dict[str, type[Recipe]]] = {}
    for module in sorted(pkgutil.iter_modules(shared.recipes.__path__), key=lambda m: m.name):
        recipe = getattr(importlib.import_module(f"shared.recipes.{module.name}"), "RECIPE", None)
        if recipe is not None:
            found.setdefault(recipe.name, {})[recipe.variant] = recipe
    return found


def load(name: str, variant: str | None, preset: str, *, private: bool = True) -> Recipe:
    """Return the recipe called `name`; its first variant when none is given.

    `private` matters to training alone: what data a recipe needs and how it samples do not depend on it.

    Raises:
        UsageError: no such recipe, variant or preset, with those there are.
    """
    known = catalogue()
    if name not in known:
        raise UsageError(f"recipe {name!r} is unknown; choose one of: {', '.join(sorted(known))}")
    variants = known[name]
    variant = variant or next(iter(variants))
    if variant not in variants:
        raise UsageError(f"{name} has no variant {variant!r}; choose one of: {', '.join(variants)}")
    recipe = variants[variant]
    if preset not in recipe.presets:
        raise UsageError(f"{name} has no preset {preset!r}; choose one of: {', '.join(recipe.presets)}")
    return recipe(preset, private=private)
