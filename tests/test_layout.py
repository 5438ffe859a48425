"""The four packages are ours, and the ones that run: generic names must not be shadowed."""

import ast
import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("server", "client", "shared", "simulations", "deploy")


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_imported_from_this_repository(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().is_relative_to(ROOT)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_owns_the_name(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"willis"}, f"{name} also belongs to {owners - {'willis'}}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    lengths = {p: len(p.read_text().splitlines()) for name in PACKAGES for p in (ROOT / name).rglob("*.py")}
    assert lengths
    assert not {path: n for path, n in lengths.items() if n > 400}


@pytest.mark.parametrize("side", ["server", "client"])
def test_flower_finds_the_app_without_running_the_package(side: str) -> None:
    """Flower looks for a plain `app = ...` in the syntax tree, and imports the package for every message."""
    body = ast.parse((ROOT / side / "app.py").read_text()).body
    names = [
        t.id for node in body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    ]
    assert "app" in names
    init = ast.parse((ROOT / side / "__init__.py").read_text()).body
    assert all(isinstance(node, ast.Expr) for node in init), "nothing but a docstring"
