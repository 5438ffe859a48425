"""Stewards: people whose approval releases need. Each makes an own key; the coordinator names its public half.

The private half lies in one folder of the steward's and never travels. What travels is a public key, and by
telephone its fingerprint.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from server.ledger.home import Home
from server.ledger.recorder import Recorder
from server.run.drawing import TRANSLATOR, is_chain
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.events import Steward
from shared.ledger.log import steward_name
from shared.ledger.store import LedgerStore
from shared.ledger.view import stewards_in_office

KEY, PUBLIC = "steward.key", "steward.pub"
_CENTRE = "federation"  # folder of the federation in that of a deployed coordinator


def make_keys(folder: Path, name: str) -> Identity:
    """Make a steward's key in `folder`, and beside it the public half that goes to the coordinator.

    Raises:
        UsageError: a key is there already; it is left alone.
    """
    if (folder / KEY).exists():
        raise UsageError(f"{folder / KEY}: exists already; use it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Identity.at(folder / KEY, steward_name(name))
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(made.public_key))
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + f" {name}\n".encode()
    write_durably(folder / PUBLIC, line)
    return made


def own_key(folder: Path, name: str) -> Identity:
    """Return the key of the steward `name` in `folder`.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    if not (folder / KEY).exists():
        raise UsageError(f"{folder / KEY}: missing; name the folder of `willis dataset steward keys`")
    return Identity.at(folder / KEY, steward_name(name))


def read_public_key(path: Path) -> str:
    """Return the public key (hexadecimal) in a steward's `steward.pub`.

    Raises:
        UsageError: it is no Ed25519 key in OpenSSH's format.
    """
    try:
        key = load_ssh_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as err:
        raise UsageError(f"{path}: no OpenSSH public key; take the steward's {PUBLIC}") from err
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: not an Ed25519 key; take the steward's {PUBLIC}")
    return key.public_bytes_raw().hex()


def home_of(place: Path) -> Home:
    """Return the federation of a run's folder, of its own folder, or of a deployed coordinator's.

    Raises:
        UsageError: there is none.
    """
    for home in (Home(place), Home(place / _CENTRE)):
        if home.exists:
            return home
    return run_of(place).home


def run_of(place: Path) -> RunFolder:
    """Return the run that publishes of a run's folder, or of a chain's."""
    return RunFolder(place / TRANSLATOR if is_chain(place) else place)


def name_steward(store: LedgerStore, coordinator: Identity, name: str, public_key: str) -> None:
    """Record a steward, whose fingerprint a person has compared; once.

    Raises:
        LedgerError: the name has another key, or the key is somebody else's; or the ledger cannot be written.
    """
    if stewards_in_office(signed.event for signed in store.events).get(name) == public_key:
        return
    _record(store, coordinator, Steward(name=name, public_key=public_key, state="named"))


def withdraw_steward(store: LedgerStore, coordinator: Identity, name: str) -> None:
    """Record that a steward decides no more. What was approved stays approved, and releases still need one.

    Raises:
        UsageError: there is no such steward in office.
        LedgerError: the ledger cannot be written.
    """
    known = stewards_in_office(signed.event for signed in store.events)
    if name not in known:
        raise UsageError(f"{name} is no steward in office; in office: {', '.join(known) or 'nobody'}")
    _record(store, coordinator, Steward(name=name, public_key=known[name], state="withdrawn"))


def _record(store: LedgerStore, coordinator: Identity, event: Steward) -> None:
    Recorder(store, coordinator)(event, lambda _: False)
