"""Record an incident: signed, for good, and shown by every report made from then on."""

from pathlib import Path

from server.ledger.export import export_ledger
from server.ledger.recorder import Recorder
from server.report.build import write_report
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.ledger.events import Incident


def record_incident(run_dir: Path, text: str) -> Path:
    """Append an incident to the federation's ledger, and make export and report again; return the report's page.

    Raises:
        UsageError: there is no run, or nothing was said.
        LedgerError: the ledger cannot be read or written.
    """
    if not text.strip():
        raise UsageError("an incident needs a text; say what happened and what it means")
    folder = RunFolder(run_dir)
    event = Incident(run=folder.plan().run, text=text.strip())
    ledger = folder.home.open_ledger()
    try:
        Recorder(ledger, folder.home.identity)(event)
        export_ledger(ledger, folder.ledger, folder.home.identity, folder.home.witnessed())
    finally:
        ledger.close()
    return write_report(run_dir)
