"""A ledger's head with the coordinator's signature: what a copy of the ledger is checked against."""

from pydantic import BaseModel, ConfigDict

from shared.identity import Identity, verify
from shared.ledger.log import HEAD_PURPOSE, Head


class SignedHead(BaseModel):
    """A ledger's head with the coordinator's signature of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    hash: str
    public_key: str  # of the coordinator, Ed25519, hexadecimal
    signature: str

    @classmethod
    def by(cls, coordinator: Identity, head: Head) -> "SignedHead":
        """Return `head` signed by the coordinator."""
        signature = coordinator.sign(HEAD_PURPOSE, head.message())
        return cls(size=head.size, hash=head.hash, public_key=coordinator.public_key, signature=signature)

    @property
    def head(self) -> Head:
        """The head that is signed."""
        return Head(self.size, self.hash)

    @property
    def is_genuine(self) -> bool:
        """Whether the signature was made by the key that stands beside it."""
        return verify(self.public_key, HEAD_PURPOSE, self.head.message(), self.signature)
