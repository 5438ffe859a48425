"""The auditors that were approved, and the authority that signs for them and for nobody else.

What a certificate lets its owner do is told by who signed it. The front trusts `ca/` alone, so that no auditor's
certificate opens it, whatever is in front of Flower; the audit service trusts whom it is told to.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from deploy.coordinator.authority import Authority
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import held
from shared.certificates import certificate_in, pem, requested_key
from shared.errors import ProtocolError, UsageError
from shared.files import write_durably

DAYS = 365  # that an auditor's certificate lasts: renewed by hand, for auditors come and go


def authority(home: CoordinatorHome, now: datetime) -> Authority:
    """Return the auditors' authority, made when it is first asked for."""
    made = Authority(home.auditors)
    made.found(f"{home.settings.name} auditors", now)
    return made


def approve(home: CoordinatorHome, name: str, text: str, now: datetime) -> x509.Certificate:
    """Give the auditor `name` a certificate for the key of a request (PEM); earlier ones hold until they end.

    Raises:
        ProtocolError: it is not a request for a certificate, signed with its own key.
        UsageError: the centre's settings or the authority are missing or damaged.
    """
    try:
        key = requested_key(text)
    except ValueError as err:
        raise ProtocolError(f"{name}: not a request for a certificate ({err}); have it sent again") from err
    with held(home):
        certificate = authority(home, now).issuer.client_certificate(name, key, now, DAYS)
        # Written down before anybody gets it, so that it can be revoked.
        known = [pem(one) for one in issued(home, name)]
        write_durably(_file(home, name), "".join([pem(certificate), *known]).encode())
    return certificate


def revoke(home: CoordinatorHome, name: str, now: datetime) -> None:
    """Let none of the certificates of an auditor hold any more.

    Raises:
        UsageError: there is no auditor of that name, or the authority is missing or damaged.
    """
    with held(home):
        known = issued(home, name)
        if not known:
            names = ", ".join(auditors(home)) or "none yet"
            raise UsageError(f"no auditor {name} was approved; there are: {names}")
        authority(home, now).revoke([one.serial_number for one in known], now)


def auditors(home: CoordinatorHome) -> list[str]:
    """Return the names of all auditors that ever were approved, in order."""
    return sorted(path.stem for path in (home.auditors / "issued").glob("*.crt"))


def issued(home: CoordinatorHome, name: str) -> list[x509.Certificate]:
    """Return all certificates of an auditor, the newest first.

    Raises:
        UsageError: the file of them is damaged.
    """
    path = _file(home, name)
    if not path.exists():
        return []
    end = "-----END CERTIFICATE-----\n"
    texts = path.read_text(encoding="ascii", errors="replace").split(end)[:-1]
    return [certificate_in(text + end, path) for text in texts]


def _file(home: CoordinatorHome, name: str) -> Path:
    return home.auditors / "issued" / f"{name}.crt"
