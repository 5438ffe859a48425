"""The way from the hospital to the centre, layer by layer: what is wrong with each, and how to mend it."""

import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import urlsplit

from cryptography import x509

from deploy.front import HEALTH
from deploy.site.home import SiteHome
from deploy.site.sidecar import client_files
from shared.errors import UsageError

SECONDS = 10.0  # to wait at each layer

_UNTRUSTED = {  # codes of X509_verify_cert
    10: ("the centre's certificate has expired", "ask the centre to renew it: `willis coordinator up` does"),
    9: ("the centre's certificate is not valid yet", "set the clock of this machine, or ask the centre to"),
    62: ("the centre's certificate is for another name", "name the centre as it does itself: coordinator"),
    64: ("the centre's certificate is for another address", "name the centre as it does itself: coordinator"),
}
_OTHER_AUTHORITY = (
    "the certificate shown is not of the centre that was joined",
    "if IT inspects TLS, ask for an exception for this address; else ring the centre before anything is sent",
)


@dataclass(frozen=True)
class Clock:
    """How the clock here stands to the centre's.

    Attributes:
        ahead: seconds by which the clock here is fast; negative where it is slow.
        give: seconds by which `ahead` may be wrong: half of the time the question took.
    """

    ahead: float
    give: float


class Way:
    """To the centre's front: straight, or through the hospital's proxy."""

    def __init__(self, home: SiteHome) -> None:
        self._home = home

    @cached_property
    def centre(self) -> tuple[str, int]:
        """Host and port of the centre.

        Raises:
            UsageError: they are not written as host:port.
        """
        return self._host_port(self._home.settings.coordinator, "coordinator")

    @cached_property
    def proxy(self) -> tuple[str, int] | None:
        """Host and port of the proxy, if there is one.

        Raises:
            UsageError: it is not written as http://host:port.
        """
        written = self._home.settings.proxy
        if not written:
            return None
        if urlsplit(written).scheme != "http":
            raise UsageError(f"{self._home.settings_file}: proxy: not http://host:port; correct it")
        return self._host_port(urlsplit(written).netloc, "proxy")

    @property
    def first(self) -> tuple[str, int]:
        """Host and port of whom this machine itself connects to."""
        return self.proxy or self.centre

    def resolve(self) -> str:
        """Return the address of the first host.

        Raises:
            UsageError: its name leads nowhere.
        """
        host, port = self.first
        try:
            return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as err:
            msg = f"{host}: no address is known of this name ({err})"
            raise UsageError(f"{msg}; correct it in {self._home.settings_file.name}, or ask IT about DNS") from err

    def connect(self) -> float:
        """Connect and return the milliseconds it took.

        Raises:
            UsageError: nobody answers.
        """
        begun = time.monotonic()
        try:
            socket.create_connection(self.first, timeout=SECONDS).close()
        except OSError as err:
            raise UsageError(f"{_written(self.first)}: {_no_connection(err)}") from err
        return 1000 * (time.monotonic() - begun)

    def tunnel(self) -> None:
        """Have the proxy connect to the centre.

        Raises:
            UsageError: it does not.
        """
        try:
            through = http.client.HTTPConnection(*self.first, timeout=SECONDS)
            through.set_tunnel(*self.centre)
            through.connect()
            through.close()
        except (OSError, http.client.HTTPException) as err:
            msg = f"the proxy does not connect to {_written(self.centre)} ({err})"
            raise UsageError(
                f"{msg}; ask IT to let CONNECT to this host and port pass, without a password"
            ) from err

    def certificate(self) -> x509.Certificate:
        """Return the centre's certificate, once it is found to be good.

        Raises:
            UsageError: whoever answers speaks no TLS, or is not the centre; or a file of ours does not serve.
        """
        connection = self._connection()
        try:
            connection.connect()
            shown = connection.sock.getpeercert(binary_form=True)
        except (OSError, http.client.HTTPException) as err:
            raise UsageError("; ".join(_no_handshake(err))) from err
        finally:
            connection.close()
        assert shown  # the context demands one
        return x509.load_der_x509_certificate(shown)

    def clock(self) -> Clock:
        """Ask the centre for its time, as nobody can whom it does not let in.

        Raises:
            UsageError: it refuses our certificate, or is not a front of Willis.
        """
        connection = self._connection()
        try:
            connection.connect()
            asked = time.time()
            connection.request("GET", HEALTH)
            answer = connection.getresponse()
            body = answer.read(4096)
        except (OSError, http.client.HTTPException) as err:
            raise UsageError("; ".join(_not_let_in(err))) from err
        finally:
            connection.close()
        answered = time.time()
        try:
            theirs = json.loads(body)["time_ms"] / 1000
        except (ValueError, KeyError, TypeError) as err:
            msg = f"{_written(self.centre)}{HEALTH}: status {answer.status} and no time"
            raise UsageError(f"{msg}; ask the centre whether this is the address of its front") from err
        return Clock(ahead=(asked + answered) / 2 - theirs, give=(answered - asked) / 2)

    def _connection(self) -> http.client.HTTPSConnection:
        context = client_files(self._home).context()
        connection = http.client.HTTPSConnection(*self.first, timeout=SECONDS, context=context)
        if self.proxy:
            connection.set_tunnel(*self.centre)
        return connection

    def _host_port(self, written: str, key: str) -> tuple[str, int]:
        split = urlsplit(f"//{written}")
        try:
            if split.hostname and split.port:
                return split.hostname, split.port
        except ValueError:  # a port that is no number, or none that can be
            pass
        raise UsageError(f"{self._home.settings_file}: {key}: {written!r} is not host:port; correct it")


def days_left(certificate: x509.Certificate) -> int:
    """Return the whole days a certificate is still valid; negative where it has expired."""
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days


def _written(where: tuple[str, int]) -> str:
    return f"{where[0]}:{where[1]}"


def _no_connection(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; ask the centre whether it is up, or IT whether a firewall refuses"
    if isinstance(error, TimeoutError):
        return f"no answer in {SECONDS:g} s; ask IT to let outbound TCP to this host and port pass"
    return f"cannot be reached ({error.strerror}); ask IT about the route to this host"


def _no_handshake(error: Exception) -> tuple[str, str]:
    """Return what is wrong with a handshake, and the remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNTRUSTED.get(error.verify_code, _OTHER_AUTHORITY)
    if isinstance(error, ssl.SSLError) and error.reason and "ALERT" in error.reason:  # TLS 1.2: within it
        return _not_let_in(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        said = f"whoever answers speaks no TLS ({error.reason})"
        return said, "check the port of coordinator, or ask IT what stands between"
    return f"the connection ended in the handshake ({error})", "ask IT whether TLS to this host and port may pass"


def _not_let_in(error: Exception) -> tuple[str, str]:
    """Return why the centre does not let us in, and the remedy; most fronts tell a stranger nothing."""
    if isinstance(error, TimeoutError):
        return f"the centre does not answer in {SECONDS:g} s", "ask the centre whether it is overloaded"
    reason = getattr(error, "reason", None) or type(error).__name__
    return (
        f"the centre ends the connection without an answer ({reason})",
        "our certificate looks good here, so most likely it was revoked: ring the centre",
    )
