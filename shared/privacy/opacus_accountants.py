"""Opacus' accountants without torch: an offline audit can price by them on a machine that has no torch.

`import opacus` loads torch, yet the accountants need only numpy and scipy. Here their files are loaded under a
private package name, as they are installed; `sys.modules["opacus"]` is never touched. Of what they import, only
their abstract base class needs torch (for one type annotation): a stand-in gives it. A test holds the figures
against those of the real accountants.
"""

import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from shared.errors import UsageError

_PRIVATE = "_willis_opacus_accountants"


class _Accountant:
    """Stands in for Opacus' `IAccountant`: of it, the pricing uses only the history."""

    def __init__(self) -> None:
        self.history: list[tuple[float, float, int]] = []  # (noise multiplier, sampling rate, steps)


def rdp_accountant() -> Any:  # noqa: ANN401 - Opacus carries no types
    """Return a fresh `RDPAccountant` of Opacus: fill its `history`, then ask `get_epsilon(delta)`.

    Raises:
        UsageError: Opacus is not installed.
    """
    return _module("rdp").RDPAccountant()


def prv_accountant() -> Any:  # noqa: ANN401 - Opacus carries no types
    """Return a fresh `PRVAccountant` of Opacus: fill its `history`, then ask `get_epsilon(delta)`.

    Raises:
        UsageError: Opacus is not installed.
    """
    return _module("prv").PRVAccountant()


@lru_cache(maxsize=4)
def _module(name: str) -> ModuleType:
    """Return the module opacus/accountants/`name`.py, loaded without running opacus/__init__.py."""
    if _PRIVATE not in sys.modules:
        package = ModuleType(_PRIVATE)
        package.__path__ = [str(_folder())]
        base = ModuleType(f"{_PRIVATE}.accountant")
        base.IAccountant = _Accountant  # type: ignore[attr-defined]
        sys.modules.update({_PRIVATE: package, base.__name__: base})
    return importlib.import_module(f"{_PRIVATE}.{name}")


def _folder() -> Path:
    """Return the folder opacus/accountants of the installed Opacus."""
    spec = importlib.util.find_spec("opacus")  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("Opacus is not installed, so nothing can be priced a second time: pip install opacus")
    return Path(next(iter(spec.submodule_search_locations))) / "accountants"


def installed() -> bool:
    """Whether Opacus is there to give a second opinion; asking does not load it."""
    return importlib.util.find_spec("opacus") is not None
