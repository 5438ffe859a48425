"""The budget report on paper: report.pdf, the page of index.html with report.json attached (PDF/A-3a, tagged).

The same report gives the same bytes wherever WeasyPrint and Pango have the same versions: its letters come with
matplotlib, so that it does not depend on a machine's fonts, and it carries no date. Made on demand, so that what
every run leaves does not depend on whether WeasyPrint is installed.
"""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from server.report.page import render_page
from shared.canonical import digest
from shared.errors import UsageError
from shared.files import write_durably

PDF = "report.pdf"

_MISSING = (
    "report.pdf needs WeasyPrint and the system's library Pango: pip install 'willis[pdf]', and on Debian "
    "apt-get install libpango-1.0-0 libpangoft2-1.0-0"
)
_FACES = {
    ("Report Sans", "normal", "normal"): "DejaVuSans",
    ("Report Sans", "bold", "normal"): "DejaVuSans-Bold",
    ("Report Sans", "normal", "italic"): "DejaVuSans-Oblique",
    ("Report Mono", "normal", "normal"): "DejaVuSansMono",
    ("Report Mono", "bold", "normal"): "DejaVuSansMono-Bold",
}
_PAPER = """
@page { size: A4; margin: 16mm 15mm 18mm;
  @bottom-left { content: "Privacy budget of run " string(run); font: 7pt "Report Sans"; color: #545d68; }
  @bottom-right { content: "page " counter(page) " of " counter(pages); font: 7pt "Report Sans";
    color: #545d68; } }
html { font-size: 9pt; }
body { font: 1rem/1.45 "Report Sans"; }
code { font-family: "Report Mono"; }
.lead code { string-set: run content(); }
h2 { margin-top: 1.8rem; }
h1, h2, h3, caption, .question { break-after: avoid; }
p, li, blockquote { max-width: none; orphans: 3; widows: 3; }
.tiles { grid-template-columns: 1fr 1fr 1fr; }
.scope { grid-template-columns: 1fr 1fr; }
figure svg { width: 11cm; }
tbody th { min-width: 5.2rem; }
.summary, .scope, footer { break-inside: avoid; }
"""
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)  # of the attachment; a true one would differ every time


def write_pdf(run_dir: Path) -> Path:
    """Make RUN/report/report.pdf of RUN/report/report.json; return it.

    Raises:
        UsageError: there is no report, or WeasyPrint or Pango is missing.
    """
    source = run_dir / "report" / "report.json"
    if not source.exists():
        raise UsageError(f"{source}: no such report; it is made when a run ends")
    path = source.with_name(PDF)
    write_durably(path, render_pdf(source.read_bytes()))
    return path


def render_pdf(report: bytes) -> bytes:
    """Return report.pdf of the bytes of report.json.

    Raises:
        UsageError: WeasyPrint or Pango is missing.
    """
    weasyprint = _weasyprint()
    page = render_page(json.loads(report)).replace("</head>", f"<style>{_faces()}{_PAPER}</style></head>")
    page = page.replace("<svg ", '<svg font-family="Report Sans" ')  # it inherits none from around it
    attached = weasyprint.Attachment(
        string=report, name="report.json", relationship="Source", created=_NO_DATE, modified=_NO_DATE
    )
    only_fonts = weasyprint.urls.URLFetcher(allowed_protocols=["file"])
    document = weasyprint.HTML(string=page, url_fetcher=only_fonts)
    made: bytes = document.write_pdf(
        attachments=[attached], pdf_variant="pdf/a-3a", pdf_identifier=layout_id().encode()
    )
    return made


def layout_id() -> str:
    """Return the identifier of what lays pages out here, as it stands in a report.pdf made with it.

    Raises:
        UsageError: WeasyPrint or Pango is missing.
    """
    import matplotlib as mpl  # late, as WeasyPrint: an audit without a report.pdf needs neither

    weasyprint = _weasyprint()
    pango = weasyprint.text.ffi.pango.pango_version()
    return digest(f"WeasyPrint {weasyprint.__version__}, Pango {pango}, matplotlib {mpl.__version__}".encode())


def _weasyprint() -> ModuleType:
    try:
        import weasyprint
    except (ImportError, OSError) as err:  # OSError: it found no Pango
        raise UsageError(_MISSING) from err
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of every rule that is for screens only
    module: ModuleType = weasyprint
    return module


def _faces() -> str:
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    rules = [
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
        f"src: url({(folder / name).with_suffix('.ttf').as_uri()}); }}\n"
        for (family, weight, style), name in _FACES.items()
    ]
    return "".join(rules)
