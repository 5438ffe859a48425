"""The budget report as one self-contained page."""

import html

from shared.canonical import Json


def render_page(report: dict[str, Json]) -> str:
    """Return index.html; the same report gives the same bytes."""
    return f"<!doctype html><title>Budget report</title><pre>{html.escape(str(report))}</pre>\n"
