"""The recipe under test."""

from pathlib import Path

import pytest

from tests.recipes.subject import RECIPES, Subject, subject_of


@pytest.fixture(params=RECIPES)
def subject(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """Every registered recipe in turn, or the one a test names."""
    return subject_of(request.param, tmp_path, monkeypatch)
