"""Reports of a ledger that was fetched: each checked, and laid so that `willis audit verify` makes it again."""

import json
import re
from pathlib import Path

from server.audit.mirror import Fetched
from server.audit.mirror import Report as Progress
from server.audit.remote import Remote
from server.ledger.export import CHECKPOINT, LINES, WITNESSED, jsonl
from server.report.seal import NAMESPACE, SIGNATURE
from server.run.folder import RunFolder
from shared.errors import LedgerError
from shared.files import write_durably
from shared.ledger.events import Run
from shared.ledger.verify import is_beginning
from shared.ledger.witness import read_shown
from shared.sshsig import ssh_signer

_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")  # of a run's name, which becomes a folder's


def fetch_reports(remote: Remote, out: Path, ledger: Fetched, report: Progress) -> list[Path]:
    """Fetch every run's report into OUT/runs/RUN, with the ledger it was made from; return these folders.

    `willis audit verify` makes each of them again from that ledger.

    Raises:
        LedgerError, ProtocolError: a report is not the coordinator's, or of another ledger.
        ServiceError: the service fails.
    """
    runs = [signed.event for signed in ledger.events if isinstance(signed.event, Run)]
    found = []
    for number, run in enumerate(runs, start=1):
        if not _PLAIN.fullmatch(run.run):
            raise LedgerError(f"run {run.run[:12]!r} has a name that no folder can have; tell the centre")
        if _fetch_report(remote, out / "runs" / run.run, run, ledger):
            found.append(out / "runs" / run.run)
        report("reports", number, len(runs))
    return found


def _fetch_report(remote: Remote, folder: Path, run: Run, ledger: Fetched) -> bool:
    answer = remote.report(run.run)
    if answer is None:
        return False
    if ssh_signer(answer.signature, NAMESPACE, answer.report) != ledger.key:
        raise LedgerError(f"run {run.run[:12]}: the report is not signed by the coordinator; tell the centre")
    head = read_shown(answer.checkpoint, ledger.key).head
    made_from = json.loads(answer.report)["ledger"]
    if made_from != {"size": head.size, "root": head.root} or not is_beginning(head, ledger.lines):
        raise LedgerError(f"run {run.run[:12]}: the report is of a ledger that is not here yet; fetch again")
    RunFolder(folder).keep_plan(run)
    write_durably(folder / "ledger" / LINES, jsonl(ledger.lines[: head.size]))
    if ledger.witnessed and ledger.witnessed.head.size <= head.size:
        write_durably(folder / "ledger" / WITNESSED, ledger.witnessed.text.encode())
    write_durably(folder / "ledger" / CHECKPOINT, answer.checkpoint.encode())
    write_durably(folder / "report" / SIGNATURE, answer.signature.encode())
    write_durably(folder / "report" / "report.json", answer.report)
    return True
