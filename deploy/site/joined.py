"""The centre that a hospital has joined: what it checks of an answer before it installs it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.requests import Answer
from deploy.settings import ADDRESS, NAME, change_setting
from deploy.site.home import SiteHome
from shared.canonical import canonical
from shared.certificates import certificate_in, check_client, key_at
from shared.errors import ProtocolError, UsageError
from shared.files import write_durably


class Joined(BaseModel):
    """What `coordinator.json` holds: the centre and the federation, as a person agreed to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    coordinator: str = Field(pattern=ADDRESS)  # host:port
    ca: str  # PEM
    signing_key: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the ledger, Ed25519
    delta: float = Field(gt=0, lt=1)
    overlap: int = Field(ge=1)
    name: str = Field(pattern=NAME)  # of the federation


def read_joined(home: SiteHome) -> Joined:
    """Return the centre that the hospital has joined.

    Raises:
        UsageError: none yet, or the file is damaged.
    """
    try:
        return Joined.model_validate_json(home.joined.read_bytes())
    except FileNotFoundError as err:
        raise UsageError(
            f"{home.joined}: missing: no centre was joined; run `willis site request`, then `willis site join` "
            "with the answer"
        ) from err
    except ValidationError as err:
        raise UsageError(f"{home.joined}: damaged; restore it from a backup, or remove it and join again") from err


def known_centre(home: SiteHome) -> Joined | None:
    """Return the centre that the hospital has joined, if it has (see `read_joined`)."""
    return read_joined(home) if home.joined.exists() else None


def check_answer(home: SiteHome, answer: Answer, now: datetime) -> None:
    """Check that an answer, whose signature holds, is for this hospital and its keys and can be used now.

    Raises:
        ProtocolError: it is for another hospital or other keys.
        UsageError: its certificate does not hold now.
    """
    if answer.name != home.settings.name:
        raise ProtocolError(f"the answer is for {answer.name}, and this is {home.settings.name}; send it there")
    certificate = certificate_in(answer.certificate, "the answer's certificate")
    if certificate.public_key() != key_at(home.keys / "tls.key").public_key():
        raise ProtocolError(
            "the answer is for another key than keys/tls.key, which was made anew since; have a new "
            "`willis site request` approved"
        )
    check_client(certificate, certificate_in(answer.ca, "the answer's CA"), now)


def install(home: SiteHome, answer: Answer) -> None:
    """Install an answer that was checked; an address that a person wrote into the settings stays."""
    known, used = known_centre(home), home.settings.coordinator
    by_hand = known is not None and known.signing_key == answer.signing_key and used not in ("", known.coordinator)
    joined = Joined(
        coordinator=used if used in answer.addresses else answer.addresses[0],
        ca=answer.ca,
        signing_key=answer.signing_key,
        delta=answer.delta,
        overlap=answer.overlap,
        name=answer.federation,
    )
    write_durably(home.ca, answer.ca.encode())
    write_durably(home.keys / "tls.crt", answer.certificate.encode())
    write_durably(home.joined, canonical(joined.model_dump(mode="json")) + b"\n")
    if not by_hand and used != joined.coordinator:
        change_setting(home.settings_file, "coordinator", joined.coordinator)
