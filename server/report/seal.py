"""The coordinator's signature on report.json, checked by `ssh-keygen -Y verify` on any machine."""

from pathlib import Path

from server.run.folder import RunFolder
from shared.files import write_durably
from shared.sshsig import ssh_sign, ssh_signer

NAMESPACE = "willis-report"
SIGNATURE = "report.json.sig"


def sign_report(folder: RunFolder, out: Path, data: bytes) -> None:
    """Write the signature of `data`, the bytes of report.json, beside it; remove an old one where there is no key.

    Raises:
        UsageError: the federation's home is there without its key.
    """
    if (folder.path / "federation.json").exists() and folder.home.exists:
        write_durably(out / SIGNATURE, ssh_sign(folder.home.identity, NAMESPACE, data).encode())
    else:
        (out / SIGNATURE).unlink(missing_ok=True)  # an auditor's copy: the old one may be of other bytes


def report_signer(out: Path) -> str | None:
    """Return the public key (hexadecimal) that signed OUT/report.json, or None when nobody rightly did."""
    armoured = (out / SIGNATURE).read_text(errors="replace")
    return ssh_signer(armoured, NAMESPACE, (out / "report.json").read_bytes())
