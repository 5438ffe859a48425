"""The data card as HTML, for the viewer and the portal: Markdown in, and nothing of it trusted."""

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_NOTHING = ("image", "link_open", "link_close", "html_inline", "html_block")


def card_html(text: str, *, titled: bool = False) -> Markup:
    """Return README.md as HTML for a place below an <h2>: without its header, and headings deeper.

    HTML in it is shown as text; links become their words, and pictures nothing: the page must not lead anywhere,
    and shows the contact sheet itself. The title is left out, unless it is to be `titled`, where the page has
    another.

    >>> card_html("---\\nlicense: x\\n---\\n# Title <b>\\n[a](b)![c](d)", titled=True)
    Markup('<h3>Title &lt;b&gt;</h3>\\n<p>a</p>\\n')
    """
    body = text.partition("\n---\n")[2] if text.startswith("---\n") else text  # a header is for machines
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for rule in _NOTHING:
        parser.add_render_rule(rule, lambda renderer, tokens, index, options, env: "")
    tokens = parser.parse(body)
    tokens = tokens if titled else _without_title(tokens)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1 + titled)}"
    options: Any = parser.options
    html = parser.renderer.render(tokens, options, {})
    wide = '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>'
    return Markup(html.replace("<table>", wide).replace("</table>", "</table></div>"))  # escaped by the parser


def _without_title(tokens: Sequence[Token]) -> list[Token]:
    """Drop the first heading, which the page has as its own."""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return list(tokens[3:])
    return list(tokens)
