"""The data card as HTML: Markdown in, and nothing of it trusted."""

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup


def card_html(text: str) -> Markup:
    """Return README.md as HTML for a place below an <h2>: without its header and title, headings one deeper.

    HTML in it is shown as text. Links and pictures become their words: the page must not lead anywhere, and
    shows the contact sheet itself.
    """
    body = text.split("---\n", 2)[-1] if text.startswith("---\n") else text
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", lambda renderer, tokens, index, options, env: "")
    parser.add_render_rule("link_open", lambda renderer, tokens, index, options, env: "")
    parser.add_render_rule("link_close", lambda renderer, tokens, index, options, env: "")
    tokens = _without_title(parser.parse(body))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    options: Any = parser.options
    html = parser.renderer.render(tokens, options, {})
    wide = '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>'
    return Markup(html.replace("<table>", wide).replace("</table>", "</table></div>"))  # escaped by the parser


def _without_title(tokens: Sequence[Token]) -> list[Token]:
    """Drop the first heading, which the page has as its own."""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return list(tokens[3:])
    return list(tokens)
