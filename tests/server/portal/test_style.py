"""Colours that everybody can read: contrast by WCAG 2.2, computed from the stylesheet itself, light and dark."""

import re

import pytest

from server.portal.rendering import FILES

CSS = (FILES / "portal.css").read_text(encoding="utf-8")
_SET = re.compile(r"--(\w+): (#[0-9a-f]{6});")


def palettes() -> dict[str, dict[str, str]]:
    """Return the colours by name, of light pages, dark ones and paper."""
    light = dict(_SET.findall(CSS.partition("@media")[0]))
    dark = light | dict(_SET.findall(CSS.partition("prefers-color-scheme: dark")[2].partition("\n}")[0]))
    paper = light | dict(_SET.findall(CSS.partition("@media print")[2]))
    return {"light": light, "dark": dark, "paper": paper}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, "contrast ratio").

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2) of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", ["light", "dark", "paper"])
def test_text_reaches_aa(name: str) -> None:
    colours = palettes()[name]
    assert len(colours) == 11
    for ground in ("page", "wash"):
        for text in ("ink", "soft", "link", "alarm", "good", "open"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (name, text, ground)
    assert contrast(colours["pressed"], colours["press"]) >= 4.5
    assert contrast(colours["press"], colours["page"]) >= 3  # a button's edge


def test_light_and_dark_are_told_apart() -> None:
    found = palettes()
    assert luminance(found["light"]["page"]) > 0.9
    assert luminance(found["dark"]["page"]) < 0.02


def test_colours_are_named_once() -> None:
    """Beyond the palettes stand only the colours of the report's charts, which are drawn on white."""
    palette = {value for colours in palettes().values() for value in colours.values()}
    beyond = set(re.findall(r"#[0-9a-f]{6}", CSS)) - palette
    assert beyond <= {"#46505a", "#9cc3e6"}


def test_focus_is_seen_and_nothing_comes_from_elsewhere() -> None:
    assert "outline: none" not in CSS.replace(
        "main:focus { outline: none; }", ""
    )  # only what a skip link leads to
    assert not any(word in CSS for word in ("url(", "@import", "http", "!important"))
