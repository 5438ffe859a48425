"""TLS with certificates on both sides, from plain PEM files; renewed ones are noticed meanwhile.

That it is TLS 1.3 is seen to by `admission`, and by `willis audit serve` before it loads gRPC.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from shared.errors import UsageError
from shared.files import Stamp, stamp


@dataclass(frozen=True)
class ServerFiles:
    """What the service shows of itself, and the authorities of whose certificates it lets in."""

    certificate: Path
    key: Path
    clients: Sequence[Path]

    @property
    def _stamp(self) -> Stamp:
        return stamp([self.certificate, self.key, *self.clients])

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that follow the files.

        Raises:
            UsageError: a file is missing, damaged, or does not belong to the others.
        """
        last = self._stamp

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            """Return what to go on with; None: the same."""
            nonlocal last
            if (now := self._stamp) == last:
                return None
            last = now
            return self._configuration()  # gRPC goes on with the old files where this raises

        return grpc.dynamic_ssl_server_credentials(self._configuration(), renewed, True)  # type: ignore[arg-type]  # None is documented

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        check_pair(self.certificate, self.key)
        authorities = b"".join(map(read_authority, self.clients))
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], authorities)


def check_pair(certificate: Path, key: Path) -> None:
    """Check that a certificate and a key belong together.

    Raises:
        UsageError: they do not, or one cannot be read.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
        why = "not a certificate and the key that belongs to it, in PEM"
        raise UsageError(f"{certificate}, {key}: {why} ({err}); name the right files, or renew them") from err


def read_authority(path: Path) -> bytes:
    """Return an authority's certificate (PEM).

    Raises:
        UsageError: it is missing or is not one.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        return path.read_bytes()
    except (OSError, ValueError) as err:
        raise UsageError(f"{path}: not an authority's certificate in PEM ({err}); name the right file") from err
