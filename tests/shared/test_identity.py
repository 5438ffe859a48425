"""Keys and signatures: made once, kept private, good for one purpose and one message."""

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import UsageError
from shared.identity import Identity, verify

IDENTITY = Identity("east", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Identity("west", Ed25519PrivateKey.from_private_bytes(bytes(32)))


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "site.key"
    first = Identity.at(path, "east")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["site.key"]
    again = Identity.at(path, "east")
    assert again.public_key == first.public_key
    assert again.sign("p", b"m") == first.sign("p", b"m")


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    assert Identity.at(tmp_path / "a", "x").public_key != Identity.at(tmp_path / "b", "x").public_key


def test_a_crash_while_a_key_is_made_leaves_no_half_of_one(tmp_path: Path) -> None:
    (tmp_path / "site.key.part").write_text("-----BEGIN OPENSSH")
    identity = Identity.at(tmp_path / "site.key", "east")
    assert verify(identity.public_key, "p", b"m", identity.sign("p", b"m"))
    assert stat.S_IMODE((tmp_path / "site.key").stat().st_mode) == 0o600


@settings(deadline=None)
@given(message=st.binary(max_size=64), purpose=st.text("abc-", max_size=8))
def test_a_signature_holds_for_its_message_purpose_and_key_only(message: bytes, purpose: str) -> None:
    signature = IDENTITY.sign(purpose, message)
    assert verify(IDENTITY.public_key, purpose, message, signature)
    assert not verify(IDENTITY.public_key, purpose, message + b"\0", signature)
    assert not verify(IDENTITY.public_key, purpose + "x", message, signature)
    assert not verify(OTHER.public_key, purpose, message, signature)


@settings(deadline=None)
@given(place=st.integers(0, 127), digit=st.sampled_from("0123456789abcdef"))
def test_a_signature_with_another_digit_does_not_hold(place: int, digit: str) -> None:
    signature = IDENTITY.sign("p", b"m")
    changed = signature[:place] + digit + signature[place + 1 :]
    assert verify(IDENTITY.public_key, "p", b"m", changed) == (changed == signature)


@pytest.mark.parametrize("nonsense", ["", "zz", "00", "00" * 31, "00" * 64, "é"])
def test_what_is_no_key_or_signature_does_not_hold(nonsense: str) -> None:
    signature = IDENTITY.sign("p", b"m")
    assert not verify(nonsense, "p", b"m", signature)
    if len(nonsense) != 128:
        assert not verify(IDENTITY.public_key, "p", b"m", nonsense)


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
)
OF_ANOTHER_KIND = generate_private_key(SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an unencrypted OpenSSH private key"),
        (b"nonsense", "not an unencrypted OpenSSH private key"),
        (KEY[:200], "not an unencrypted OpenSSH private key"),
        (OF_ANOTHER_KIND, "not an Ed25519 key"),
    ],
    ids=["empty", "nonsense", "cut", "another kind"],
)
def test_a_file_that_is_no_such_key_is_named_and_left_alone(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"site.key: {words}; restore it from a backup"):
        Identity.at(path, "east")
    assert path.read_bytes() == content


needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@needs_ssh_keygen
def test_a_key_under_a_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "password", "-f", path], check=True)
    with pytest.raises(UsageError, match=r"site\.key: not an unencrypted OpenSSH private key"):
        Identity.at(path, "east")


@needs_ssh_keygen
def test_openssh_reads_the_key(tmp_path: Path) -> None:
    """The format is a promise: an auditor's `ssh-keygen -Y` works with the same file."""
    path = tmp_path / "site.key"
    identity = Identity.at(path, "east")
    command = ["ssh-keygen", "-y", "-f", str(path)]
    public = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert base64.b64decode(public.split()[1])[-32:].hex() == identity.public_key
