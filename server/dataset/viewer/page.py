"""index.html of a data set: one file that opens from disk and never asks the network for anything.

It holds the first cases with NiiVue to look at them (Taylor et al., vendored beside this module), the contact
sheet, the data card, and the privacy claim. All of it is read from the files of the data set: the page claims
nothing of its own, and the same files give the same bytes.
"""

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server.dataset.viewer import VIEWER
from server.dataset.viewer.card import card_html
from server.dataset.viewer.cases import shown_cases
from server.report.style import STYLE
from shared.privacy.events import NoiseSource

NIIVUE = "niivue.umd.js"
NIIVUE_VERSION = "0.69.0"
NIIVUE_SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"  # as in the npm package

_HERE = Path(__file__).parent


def write_viewer(folder: Path) -> None:
    """Write index.html from the other files of the data set in `folder`.

    Raises:
        CohortError: a volume cannot be read.
    """
    (folder / VIEWER).write_text(viewer_page(folder), encoding="utf-8")


def viewer_page(folder: Path) -> str:
    """Return the page of the data set in `folder`.

    Raises:
        CohortError: a volume cannot be read.
    """
    about = json.loads((folder / "dataset_description.json").read_bytes())
    claims, cases = about["DifferentialPrivacy"], shown_cases(folder)
    style, scripts = STYLE + _text("style.css"), (_text(NIIVUE), _text("viewer.js"))
    template = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(_HERE),
    ).get_template("template.html.jinja")
    return template.render(
        about=about,
        claims=claims,
        is_simulation=claims["noise_source"] == NoiseSource.SEEDED.value,
        count=len(json.loads((folder / "manifest.json").read_bytes())),
        shown=len(cases),
        has_images=any(case["images"] for case in cases),
        cases=_data(cases),
        sheet=base64.b64encode((folder / "contact-sheet.png").read_bytes()).decode(),
        card=card_html((folder / "README.md").read_text(encoding="utf-8")),
        style=Markup(style),  # our own, as are the scripts
        scripts=[Markup(script) for script in scripts],
        style_hash=_hash(style),
        script_hashes=[_hash(script) for script in scripts],
        licences=_text("niivue.LICENSES.txt"),
        niivue_version=NIIVUE_VERSION,
    )


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(inline: str) -> Markup:
    """Return the source expression by which a Content-Security-Policy allows one inline text and no other."""
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'")


def _data(value: object) -> Markup:
    """Return JSON that no browser reads as markup inside a <script> of data."""
    return Markup(json.dumps(value, sort_keys=True).replace("<", "\\u003c"))
