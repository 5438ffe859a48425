"""The recipes there are. They are found by looking at this folder: a new one needs one new module."""

import importlib
import pkgutil
from collections.abc import Mapping

import shared.recipes
from shared.errors import UsageError
from shared.recipes.base import NONE, Recipe
from shared.recipes.settings import Setting


def catalogue() -> dict[str, dict[str, type[Recipe]]]:
    """Return every recipe class by name and variant, the default variant first.

    A module that defines recipes lists their classes as `RECIPES`.
    """
    found: dict[str, dict[str, type[Recipe]]] = {}
    for module in sorted(pkgutil.iter_modules(shared.recipes.__path__), key=lambda m: m.name):
        for recipe in getattr(importlib.import_module(f"shared.recipes.{module.name}"), "RECIPES", ()):
            found.setdefault(recipe.name, {})[recipe.variant] = recipe
    return {name: _default_first(variants) for name, variants in found.items()}


def load(
    name: str, variant: str | None, preset: str, *, private: bool = True, settings: Mapping[str, Setting] = NONE
) -> Recipe:
    """Return the recipe called `name`; its default variant when none is given.

    `private` matters to training alone: what data a recipe needs and how it samples do not depend on it.

    Raises:
        UsageError: no such recipe, variant, preset or setting, with those there are.
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
    return recipe(preset, private=private, settings=settings)


def _default_first(variants: dict[str, type[Recipe]]) -> dict[str, type[Recipe]]:
    return dict(sorted(variants.items(), key=lambda item: not item[1].is_default))
