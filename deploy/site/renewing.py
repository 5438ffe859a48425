"""The hospital's certificate, renewed over the network while it still holds."""

import ssl
from datetime import datetime
from pathlib import Path

import httpx

from deploy.requests import RENEWAL_PATH, Answer
from deploy.site.home import SiteHome
from deploy.site.joined import check_answer, install, read_joined
from deploy.site.keys import make_request
from shared.certificates import certificate_at, needs_renewal, present
from shared.errors import ProtocolError, UsageError

SECONDS = 30.0  # to wait for the centre
_BY_FILES = (
    "renew by files: `willis site request`, have the centre approve it, `willis site join` with what it sends back"
)


def renew_if_due(home: SiteHome) -> bool:
    """Renew the certificate if it is past half of its life; return whether there is another one now.

    Raises:
        UsageError: it is lost or expired, or the centre cannot be reached; says how to renew by files.
        ProtocolError: the centre refuses, or its answer is not to be trusted.
    """
    return needs_renewal(certificate_at(_kept(home.keys / "tls.crt")), present()) and renew(home)


def renew(home: SiteHome) -> bool:
    """Ask the centre now; return whether it sent another certificate, as it does past half of the old one's life.

    Whatever else it answered is installed, too: the centre's address, and its CA.

    Raises:
        WillisError: as `renew_if_due`.
    """
    home = SiteHome(home.path)  # with the settings of now: a service asks for months, and an address changes
    now, known, path = present(), read_joined(home), _kept(home.keys / "tls.crt")
    old = certificate_at(path)
    if old.not_valid_after_utc < now:
        raise UsageError(f"{path}: expired on {old.not_valid_after_utc:%Y-%m-%d}; {_BY_FILES}")
    answer = Answer.read(_ask(home, now), "the centre's answer")
    if answer.signing_key != known.signing_key:
        raise ProtocolError("the answer is signed by another centre than was joined; ring the centre")
    check_answer(home, answer, now)
    install(home, answer)
    return certificate_at(path).serial_number != old.serial_number


def _ask(home: SiteHome, now: datetime) -> bytes:
    """Send a request over mutual TLS and return the answer's bytes."""
    settings = home.settings
    where = settings.coordinator or read_joined(home).coordinator
    context = ssl.create_default_context(cafile=_kept(home.ca))
    context.load_cert_chain(home.keys / "tls.crt", _kept(home.keys / "tls.key"))
    _kept(home.keys / "node")
    body = make_request(home, time=int(now.timestamp() * 1000)).file()
    try:
        with httpx.Client(
            verify=context, proxy=settings.proxy or None, trust_env=False, timeout=SECONDS
        ) as client:
            reply = client.post(f"https://{where}{RENEWAL_PATH}", content=body)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        raise UsageError(
            f"{where}: the certificate could not be renewed ({err}); see `willis site preflight`, or {_BY_FILES}"
        ) from err
    if reply.status_code != httpx.codes.OK:
        said = " ".join(reply.text[:500].split())
        raise ProtocolError(f"{where}: refused to renew ({reply.status_code}: {said}); {_BY_FILES}")
    return reply.content


def _kept(path: Path) -> Path:
    """Return a file that was made or installed before: over the network nothing is made anew."""
    if not path.exists():
        raise UsageError(f"{path}: missing; {_BY_FILES}")
    return path
