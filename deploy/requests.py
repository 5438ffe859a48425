"""The two files that travel between a hospital and the centre: a request, and its answer. Neither holds a secret.

Each is one line of canonical JSON, signed with the key it names; a byte that changed on the way is refused. Who
owns that key is not in the file: two people compare a fingerprint, once, by telephone.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from deploy.certificates import requested_key
from deploy.settings import ADDRESS, NAME
from shared.canonical import canonical
from shared.errors import ProtocolError
from shared.fingerprint import fingerprint
from shared.identity import Identity, verify

MOST_BYTES = 64 * 1024  # of a request or an answer; both have about 2 KiB
RENEWAL_PATH = "/v1/willis/renew"  # where the front takes requests for renewal


class _Signed(BaseModel):
    """A file that is signed with the key it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    purpose: ClassVar[str]
    kind: ClassVar[str]
    signing_key: str = Field(pattern=r"^[0-9a-f]{64}$")  # Ed25519, of who signs
    signature: str = ""

    def body(self) -> bytes:
        """Return what is signed."""
        return canonical(self.model_dump(mode="json", exclude={"signature"}))

    def signed(self, identity: Identity) -> Self:
        """Return the same, signed."""
        return self.model_copy(update={"signature": identity.sign(self.purpose, self.body())})

    def file(self) -> bytes:
        """Return the file."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    @classmethod
    def at(cls, path: Path) -> Self:
        """Read the file at `path` (see `read`)."""
        with path.open("rb") as file:
            return cls.read(file.read(MOST_BYTES + 1), path)

    @classmethod
    def read(cls, data: bytes, where: object) -> Self:
        """Read a file, byte for byte as it was written; `where` names it in errors.

        Raises:
            ProtocolError: it is something else, or was changed since it was signed.
        """
        again = "have it sent again, as a file rather than as text"
        if len(data) > MOST_BYTES:
            raise ProtocolError(f"{where}: not a {cls.kind}: it is too large; {again}")
        try:
            found = cls.model_validate_json(data)
        except ValidationError as err:
            first = err.errors()[0]
            said = ": ".join((*map(str, first["loc"]), first["msg"]))
            raise ProtocolError(f"{where}: not a {cls.kind} ({said}); {again}") from err
        if found.file() != data or not verify(found.signing_key, cls.purpose, found.body(), found.signature):
            raise ProtocolError(f"{where}: was changed since it was signed; {again}")
        return found


class Request(_Signed):
    """A hospital asks to take part, or for its certificate to be renewed: its public keys, no more."""

    purpose = "site-request"
    kind = "site's request"
    name: str = Field(pattern=NAME)
    node_key: str  # of Flower's SuperNode, OpenSSH without a comment
    csr: str  # for the TLS client certificate, PEM
    time: int | None = None  # milliseconds since 1970, of a renewal over the network; a file has none

    @field_validator("node_key")
    @classmethod
    def _is_a_node_key(cls, line: str) -> str:
        """Let through what Flower takes, in its one form: the line is handed to Flower's own command."""
        try:
            key = load_ssh_public_key(line.encode())
        except (UnsupportedAlgorithm, NotImplementedError) as err:
            raise ValueError(str(err)) from err
        if not isinstance(key, ec.EllipticCurvePublicKey) or node_line(key) != line:
            raise ValueError("not the OpenSSH line of an ECDSA key")
        return line

    @field_validator("csr")
    @classmethod
    def _is_a_csr(cls, text: str) -> str:
        requested_key(text)
        return text

    @property
    def fingerprint(self) -> str:
        """What the hospital reads to the centre."""
        return fingerprint(self.body())


class Answer(_Signed):
    """The centre lets a hospital in: a certificate for its key, and what it needs to know of the federation."""

    purpose = "site-answer"
    kind = "centre's answer"
    name: str = Field(pattern=NAME)  # of the hospital
    federation: str = Field(pattern=NAME)
    addresses: tuple[Annotated[str, Field(pattern=ADDRESS)], ...] = Field(
        min_length=1
    )  # host:port, the preferred one first
    ca: str  # PEM
    certificate: str  # for the hospital's TLS key, PEM
    delta: float = Field(gt=0, lt=1)  # terms of the federation's ledger, which is signed with the same key
    overlap: int = Field(ge=1)


def node_line(key: ec.EllipticCurvePublicKey) -> str:
    """Return the OpenSSH line of a node's public key, without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
