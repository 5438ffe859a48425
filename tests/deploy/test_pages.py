"""The pages for people name only commands, files, settings and metrics that exist."""

import re
from pathlib import Path

import click
import pytest

from deploy.coordinator.command import coordinator
from deploy.coordinator.home import CoordinatorSettings
from deploy.site.command import site
from deploy.site.home import SiteSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "deploy" / "README.md", *sorted((ROOT / "docs" / "deploy").glob("*.md"))]
GROUPS: dict[str, click.Group] = {"coordinator": coordinator, "site": site}


def test_there_is_a_page_for_each_of_those_who_take_part() -> None:
    assert {page.name for page in PAGES} >= {
        "README.md",
        "coordinating-centre.md",
        "data-steward.md",
        "hospital-it.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_exist(page: Path) -> None:
    said = re.findall(r"willis (coordinator|site) ([a-z]+)", page.read_text(encoding="utf-8"))
    assert said or page.name in ("README.md", "faults.md")
    for end, command in said:
        assert command in GROUPS[end].list_commands(click.Context(GROUPS[end])), f"willis {end} {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_of_the_kit_and_the_code_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/])(?:deploy/kit|shared|client|systemd)/[\w./-]+\w", text):
        assert any((base / path).exists() for base in (ROOT, ROOT / "deploy" / "kit")), path


def test_the_network_matrix_has_the_ports_of_the_settings() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    for settings in (CoordinatorSettings, SiteSettings):
        for name, field in settings.model_fields.items():
            if name == "port" or name.endswith("_port"):
                assert f"{field.default}/tcp" in text, name
