"""The seal of a data set: SHA256SUMS over every file, and the coordinator's signature of it.

Checked by `sha256sum -c` and `ssh-keygen -Y verify` on any machine, without Willis.
"""

import hashlib
import os
from pathlib import Path

from shared.files import flush
from shared.identity import Identity
from shared.sshsig import allowed_signer, ssh_sign, ssh_signer

NAMESPACE = "willis-dataset"
SUMS, SIGNATURE, SIGNERS = "SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"
PROOF = "release.tlog-proof"  # that the ledger has the release; made last
UNLISTED = (SUMS, SIGNATURE, PROOF)  # what the sums do not cover


def seal(folder: Path, coordinator: Identity) -> bytes:
    """Write the signers' file, SHA256SUMS and its signature, make all durable; return SHA256SUMS."""
    signer = allowed_signer(coordinator.name, coordinator.public_key, NAMESPACE)
    (folder / SIGNERS).write_text(signer)
    sums = sums_of(folder)
    (folder / SUMS).write_bytes(sums)
    (folder / SIGNATURE).write_text(ssh_sign(coordinator, NAMESPACE, sums))
    for path in [*folder.rglob("*"), folder]:
        flush(path)
    return sums


def sums_of(folder: Path) -> bytes:
    """Return what SHA256SUMS must be: a line for every other file, in order of path."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in sorted(files_in(folder))]
    return "".join(lines).encode()


def files_in(folder: Path) -> list[str]:
    """Return the files of a data set that SHA256SUMS covers, as paths relative to it with forward slashes."""
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()]
    return [name for name in names if name not in UNLISTED]


def seal_faults(folder: Path) -> list[str]:
    """Return what differs between SHA256SUMS and the files: changed, missing, extra, a link; empty: nothing."""
    listed = listed_sums(folder)
    present = set(files_in(folder))
    faults = [f"{name} is a link" for name in (SUMS, SIGNATURE, PROOF) if (folder / name).is_symlink()]
    faults += [f"{name} is missing" for name in sorted(listed.keys() - present)]
    faults += [f"{name} is not listed" for name in sorted(present - listed.keys())]
    for name in sorted(listed.keys() & present):
        if sha256(folder / name) != listed[name]:
            faults.append(f"{name} was changed")
    return faults


def listed_sums(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 as SHA256SUMS has it; a line of another form lists nothing."""
    lines = (folder / SUMS).read_text(errors="replace").splitlines()
    return {name: value for value, _, name in (text.partition("  ") for text in lines) if name}


def sealed_by(folder: Path) -> str | None:
    """Return the public key (hexadecimal) that signed SHA256SUMS, or None."""
    armoured = (folder / SIGNATURE).read_text(errors="replace")
    return ssh_signer(armoured, NAMESPACE, (folder / SUMS).read_bytes())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; of a link, which a data set may not hold, that of its target's name."""
    if path.is_symlink():
        return "link:" + os.readlink(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
