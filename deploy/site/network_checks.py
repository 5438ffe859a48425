"""Checks of the way to the centre, of the certificates at both ends, and of the clock."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_TOLERANCE

from deploy.site.findings import Check, Finding, ok, problem, warning
from deploy.site.home import SiteHome
from deploy.site.node_check import node_check
from deploy.site.way import Clock, Way, days_left
from shared.errors import UsageError

MOST_FAST = SYSTEM_TIME_TOLERANCE  # seconds by which a node's clock may be fast before Flower refuses it
MOST_SLOW = TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE  # and slow
_USUAL = 1.0  # seconds that a clock kept by NTP stays well within


def network_checks(home: SiteHome) -> list[Check]:
    """Return the checks, each after those it rests on."""
    way = Way(home)
    through = [Check("proxy", lambda: _tunnelled(way), ("TCP",))] if home.settings.proxy else []
    reached = ("TCP", *(check.name for check in through))
    return [
        Check("DNS", lambda: ok(f"{way.first[0]} is {way.resolve()}"), ("centre",)),
        Check("TCP", lambda: ok(f"{way.first[0]}:{way.first[1]} answers in {way.connect():.0f} ms"), ("DNS",)),
        *through,
        Check("our certificate", lambda: _own(home), ("centre",)),
        Check("TLS", lambda: judged_certificate(way.certificate(), "the centre"), (*reached, "our certificate")),
        Check("admission", lambda: _admitted(way), ("TLS",)),
        Check("clock", lambda: judged_clock(way.clock()), ("admission",)),
        Check("node", lambda: node_check(home), ("admission",)),
    ]


def judged_certificate(certificate: x509.Certificate, whose: str) -> Finding:
    """Return how a certificate stands: whose, by whom, and how long it holds."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = days_left(certificate)
    names = f"{_common_name(certificate.subject)}, by {_common_name(certificate.issuer)}"
    if end < datetime.now(UTC):
        return problem(
            f"{names}: expired on {end:%Y-%m-%d}", "have it issued again by files: `willis site request`"
        )
    if datetime.now(UTC) < begin:
        return problem(f"{names}: valid only from {begin:%Y-%m-%d %H:%M} UTC", "set the clock of this machine")
    said = f"{names}: {left} days left"
    if (end - datetime.now(UTC)) < (end - begin) / 4:  # `up` renews at half
        return warning(said, f"it should have been renewed by now; look into the logs of `up` at {whose}")
    return ok(said)


def judged_clock(clock: Clock) -> Finding:
    """Return how the clock here stands against what Flower tolerates."""
    ahead, give = clock.ahead, clock.give
    said = f"{abs(ahead):.1f} s {'fast' if ahead > 0 else 'slow'}, give or take {give:.1f} s"
    remedy = "keep this machine's clock by NTP"
    if ahead - give > MOST_FAST or ahead + give < -MOST_SLOW:
        limits = f"fast by {MOST_FAST} s or slow by {MOST_SLOW} s"
        return problem(f"{said}; Flower turns a node away that is {limits}", remedy)
    if abs(ahead) > _USUAL + give or ahead + give > MOST_FAST:
        return warning(said, remedy)
    return ok(f"right to {abs(ahead) + give:.1f} s")


def _tunnelled(way: Way) -> Finding:
    way.tunnel()
    return ok(f"{way.first[0]}:{way.first[1]} connects to {way.centre[0]}:{way.centre[1]}")


def _admitted(way: Way) -> Finding:
    way.clock()
    return ok("the centre takes our certificate")


def _own(home: SiteHome) -> Finding:
    path = home.keys / "tls.crt"
    try:
        own, authority = (x509.load_pem_x509_certificate(p.read_bytes()) for p in (path, home.ca))
        own.verify_directly_issued_by(authority)
    except FileNotFoundError as err:
        raise UsageError(f"{err.filename}: missing; join again with the centre's last answer") from err
    except (ValueError, InvalidSignature) as err:
        msg = "damaged, or not of the centre that was joined"
        raise UsageError(f"{path}: {msg}; join again with the centre's last answer") from err
    return judged_certificate(own, "this hospital")


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
