"""Who is let in: the rules for requests, and the answer to one that keeps them.

A hospital is its name and its signing key, which the ledger binds for good. Its other keys may change, but only
when a person has compared the fingerprint again: a signing key that was stolen must not fetch certificates.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography.x509 import Certificate

from deploy.coordinator.authority import Authority
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import Approved, all_sites, certificate_file, held, keep, site_named
from deploy.requests import Answer, Request
from shared.certificates import certificate_at, key_digest, needs_renewal, pem, requested_key
from shared.errors import ProtocolError
from shared.files import write_durably


def known_as(request: Request, sites: Sequence[Approved]) -> Approved | None:
    """Return the hospital that a request is from, or None for a new one.

    Raises:
        ProtocolError: its name or a key of it belongs to another; or it was revoked and comes with the same keys.
    """
    tls_key = key_digest(requested_key(request.csr))
    for site in sites:
        if site.name != request.name and (
            site.signing_key == request.signing_key or site.node_key == request.node_key or site.tls_key == tls_key
        ):
            raise ProtocolError(f"{request.name}: has a key of {site.name}; two hospitals cannot share keys")
    known = {site.name: site for site in sites}.get(request.name)
    if known is None:
        return None
    if known.signing_key != request.signing_key:
        raise ProtocolError(
            f"{request.name}: a hospital of that name has another signing key, which the ledger keeps; restore "
            "the key (.willis/site.key) there, or have the newcomer choose another name"
        )
    if known.revoked and (known.node_key == request.node_key or known.tls_key == tls_key):
        raise ProtocolError(
            f"{request.name}: was revoked, and these are the keys that were; have it make others with "
            "`willis site request --new-keys`"
        )
    return known


def needs_fingerprint(request: Request, known: Approved | None) -> bool:
    """Whether a person has to compare the fingerprint: of all but a hospital that is in, with the same keys."""
    keys = (request.node_key, key_digest(requested_key(request.csr)))
    return known is None or known.revoked or keys != (known.node_key, known.tls_key)


def approve(home: CoordinatorHome, request: Request, now: datetime) -> Answer:
    """Let a hospital in, or give it another certificate; who calls this has compared the fingerprint if need be.

    Certificates of a TLS key that it has no more hold no more.

    Raises:
        ProtocolError: as `known_as`.
        UsageError: the centre's settings, register, CA or ledger are missing or damaged.
    """
    with held(home):
        known = known_as(request, all_sites(home))
        certificate = _issued(home, request, known, now)
        if known and known.tls_key != key_digest(requested_key(request.csr)):
            Authority(home.ca).revoke((*known.earlier, known.serial), now)
        return _answer(home, request.name, certificate)


def renew(home: CoordinatorHome, request: Request, now: datetime) -> Answer:
    """Give a hospital its certificate again; another one, for the same key, when it is past half of its life.

    Raises:
        ProtocolError: the hospital is unknown or revoked, or a key is another: those change by files only.
        UsageError: as `approve`.
    """
    with held(home):
        known = known_as(request, all_sites(home))
        if known is None or needs_fingerprint(request, known):
            raise ProtocolError(
                f"{request.name}: is not known here by these keys; make a request file anew and have it approved"
            )
        path = certificate_file(home, request.name)
        certificate = certificate_at(path) if path.exists() else None
        if certificate is None or certificate.serial_number != known.serial or needs_renewal(certificate, now):
            certificate = _issued(home, request, known, now)
        return _answer(home, request.name, certificate)


def revoke(home: CoordinatorHome, name: str, reason: str, now: datetime) -> None:
    """Shut a hospital out: its certificates hold no more, and it is no longer active.

    Raises:
        UsageError: there is none of that name, or the CA is missing or damaged.
    """
    with held(home):
        site = site_named(home, name)
        keep(home, site.model_copy(update={"revoked": True, "reason": reason}))
        Authority(home.ca).revoke((*site.earlier, site.serial), now)


def _issued(home: CoordinatorHome, request: Request, known: Approved | None, now: datetime) -> Certificate:
    """Issue a certificate; its number is written down before anybody gets it, so that it can be revoked."""
    key = requested_key(request.csr)
    issuer = Authority(home.ca).issuer
    certificate = issuer.client_certificate(request.name, key, now, home.settings.certificate_days)
    site = Approved(
        name=request.name,
        signing_key=request.signing_key,
        node_key=request.node_key,
        tls_key=key_digest(key),
        serial=certificate.serial_number,
        earlier=(*known.earlier, known.serial) if known else (),
    )
    keep(home, site)
    write_durably(certificate_file(home, site.name), pem(certificate).encode())
    return certificate


def _answer(home: CoordinatorHome, name: str, certificate: Certificate) -> Answer:
    terms = home.federation.terms()
    answer = Answer(
        signing_key=terms.public_key,
        name=name,
        federation=home.settings.name,
        addresses=home.addresses,
        ca=pem(Authority(home.ca).certificate),
        certificate=pem(certificate),
        delta=terms.delta,
        overlap=terms.overlap,
    )
    return answer.signed(home.federation.identity)
