"""What crosses the wire between coordinator and site, as data, and how Flower carries it.

Every request and reply is canonical JSON in one ConfigRecord; model arrays travel beside it as an ArrayRecord
and are bound to the JSON by their digest. A site's update is signed over run, round, nonce, base model and
body, because Flower's own node signature covers only a time stamp.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from shared.canonical import canonical, digest_arrays
from shared.errors import ProtocolError
from shared.identity import Identity, verify
from shared.ledger.events import Run
from shared.ledger.log import SignedEvent

ENROL, RESERVE, TRAIN, SETTLE = "query.enrol", "query.reserve", "train", "query.settle"
WITNESS = "query.witness"
UPDATE_PURPOSE, ENROL_PURPOSE = "update", "enrol"
_JSON, _ARRAYS = "willis", "arrays"

Arrays = dict[str, NDArray[np.generic]]


class Body(BaseModel):
    """Base of everything sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EnrolRequest(Body):
    """Asks a site who it is and whether it has what a recipe needs."""

    recipe: str
    variant: str
    preset: str
    nonce: str = ""


class ReserveRequest(Body):
    """Asks a site to set budget aside for a run; `resume` says the run was started before."""

    run: Run
    resume: bool


class TrainRequest(Body):
    """Asks for one round's update, starting from the arrays sent along."""

    run: str
    round: int
    base: str  # digest of the arrays sent along
    nonce: str


class SettleRequest(Body):
    """Asks what was really executed."""

    run: str


class WitnessRequest(Body):
    """Asks a site to cosign the ledger's checkpoint, with a proof that it grew from one of size `old_size`."""

    coordinator: str = Field(pattern=r"^[0-9a-f]{64}$")  # public key
    checkpoint: str  # a signed note (`shared.ledger.checkpoint`)
    old_size: int
    proof: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...]  # a consistency proof


class WitnessReply(Body):
    """A cosignature; or, when the proof starts elsewhere, the size of the checkpoint the site keeps."""

    size: int
    name: str
    signature: str  # hexadecimal; "" when only the size is told


class EventReply(Body):
    """A site's signed event: its enrolment, reservation, refusal or settlement.

    An enrolment is the same bytes every time, and stands in the ledger for all to copy; `proof`, a signature of
    the request's nonce, says that it was made now, by whom it names.
    """

    signed: SignedEvent
    proof: str = ""

    @classmethod
    def enrolling(cls, identity: Identity, signed: SignedEvent, nonce: str) -> "EventReply":
        """Return an enrolment with its proof."""
        return cls(signed=signed, proof=identity.sign(ENROL_PURPOSE, nonce.encode()))

    def is_fresh(self, public_key: str, nonce: str) -> bool:
        """Whether the proof is the signature of `nonce` by the owner of `public_key`."""
        return verify(public_key, ENROL_PURPOSE, nonce.encode(), self.proof)


class Update(Body):
    """What a site says of the arrays it sends; nothing in it is computed from patients but their digest."""

    run: str
    round: int
    site: str
    base: str
    nonce: str
    body: str  # digest of the arrays sent along


class UpdateReply(Body):
    """A signed update."""

    update: Update
    signature: str

    @classmethod
    def by(cls, identity: Identity, update: Update) -> "UpdateReply":
        """Return `update` signed by `identity`."""
        signature = identity.sign(UPDATE_PURPOSE, canonical(update.model_dump(mode="json")))
        return cls(update=update, signature=signature)

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the signature is of this update by the owner of `public_key`."""
        message = canonical(self.update.model_dump(mode="json"))
        return verify(public_key, UPDATE_PURPOSE, message, self.signature)


class Failure(Body):
    """A site could not answer. The sentence is one of a fixed few: exception text stays at the site."""

    failed: Literal[True] = True
    site: str = Field(max_length=255)
    code: str = Field(max_length=40)
    sentence: str = Field(max_length=200)  # it may be quoted in the coordinator's ledger


AnyBody = TypeVar("AnyBody", bound=Body)


def encode(arrays: Mapping[str, Tensor]) -> ArrayRecord:
    """Return arrays as Flower carries them; one record can go into any number of messages."""
    return ArrayRecord({name: Array(to_numpy(value)) for name, value in arrays.items()})


def pack(body: Body, arrays: ArrayRecord | None = None) -> RecordDict:
    """Return the Flower content of a message."""
    content = RecordDict({_JSON: ConfigRecord({"json": canonical(body.model_dump(mode="json"))})})
    if arrays:
        content[_ARRAYS] = arrays
    return content


def unpack(content: RecordDict, kind: type[AnyBody]) -> AnyBody:
    """Return the body of a message.

    Raises:
        ProtocolError: it is not of this kind.
    """
    try:
        return kind.model_validate_json(content.config_records[_JSON]["json"])  # type: ignore[arg-type]
    except (KeyError, ValidationError, TypeError) as err:
        raise ProtocolError(f"the message is not a well-formed {kind.__name__}") from err


def unpack_arrays(content: RecordDict) -> Arrays:
    """Return the arrays of a message.

    Raises:
        ProtocolError: they cannot be decoded.
    """
    record = content.array_records.get(_ARRAYS)
    try:
        return {name: np.array(array.numpy()) for name, array in record.items()} if record else {}
    except Exception as err:  # NumPy's reader raises many kinds: bad zip files, syntax, sizes beyond memory
        raise ProtocolError("the arrays of the message cannot be decoded") from err


def to_numpy(value: Tensor) -> NDArray[np.generic]:
    """Return a tensor's values in the computer's memory."""
    array: NDArray[np.generic] = value.detach().cpu().numpy()
    return array


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Return arrays as tensors."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def digest_tensors(arrays: Mapping[str, Tensor]) -> str:
    """Return the digest of named tensors (see `digest_arrays`)."""
    return digest_arrays({name: to_numpy(value) for name, value in arrays.items()})
