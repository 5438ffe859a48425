"""Checkpoints: the text formats of C2SP, as other tools read them, and nothing but what was signed passes."""

import base64
import hashlib
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import LedgerError
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint, origin_of, parse_checkpoint, witness_name
from shared.ledger.log import NOTHING, Head
from shared.ledger.merkle import leaf_hash, root_of

COORDINATOR, OTHER, EAST = (
    Identity(name, Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)))
    for number, name in enumerate(("coordinator", "other", "east"), start=1)
)
KEY = COORDINATOR.public_key
ROOT = root_of([leaf_hash(bytes([i])) for i in range(42)]).hex()
SIGNED = Checkpoint.by(COORDINATOR, Head(42, ROOT))
TIME = 1_780_000_000
COSIGNED = SIGNED.with_signatures(SIGNED.cosign(EAST, TIME))


def test_what_was_written_is_read() -> None:
    for checkpoint in (SIGNED, COSIGNED, Checkpoint.by(COORDINATOR, NOTHING)):
        assert parse_checkpoint(checkpoint.text, "here") == checkpoint
        assert checkpoint.is_by(KEY)
    assert COSIGNED.cosigned_by("east", EAST.public_key)
    assert not SIGNED.cosigned_by("east", EAST.public_key)


def test_the_layout_is_that_of_c2sp() -> None:
    """Written out by hand from the specification: body, blank line, em dash, name, key id and signature."""
    origin, size, root, blank, signature, cosignature, end = COSIGNED.text.split("\n")
    assert (origin, size, root, blank, end) == (
        f"willis-ledger/{KEY[:16]}",
        "42",
        base64.b64encode(bytes.fromhex(ROOT)).decode(),
        "",
        "",
    )
    dash, name, value = signature.split(" ")
    assert (dash, name) == ("\u2014", origin)
    raw = base64.b64decode(value)
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + bytes.fromhex(KEY)).digest()[:4]
    body = f"{origin}\n{size}\n{root}\n".encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(KEY)).verify(raw[4:], body)

    dash, name, value = cosignature.split(" ")
    assert (dash, name) == ("\u2014", "willis-site/east")
    raw, public = base64.b64decode(value), bytes.fromhex(EAST.public_key)
    assert len(raw) == 4 + 8 + 64
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert int.from_bytes(raw[4:12], "big") == TIME
    message = b"cosignature/v1\ntime %d\n" % TIME + body
    Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], message)


def test_openssl_verifies_the_signature(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing: the checkpoint was NOT checked by a tool that is not ours")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(KEY))
    (tmp_path / "key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    body, _, signature = SIGNED.text.partition("\n\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(signature.split(" ")[2])[-64:])
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "body"]
    for text, right in ((body + "\n", True), (body.replace("42", "43") + "\n", False)):
        (tmp_path / "body").write_text(text)
        done = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode == 0) is right


@pytest.mark.parametrize(
    "changed",
    [
        replace(COSIGNED, head=Head(43, ROOT)),
        replace(COSIGNED, head=Head(42, "0" * 64)),
        replace(COSIGNED, origin=origin_of(OTHER.public_key)),
        replace(COSIGNED, signatures=()),
        replace(COSIGNED, signatures=COSIGNED.signatures[::-1][:1]),
    ],
    ids=["size", "root", "origin", "unsigned", "cosigned only"],
)
def test_what_was_changed_is_no_longer_signed(changed: Checkpoint) -> None:
    assert not changed.is_by(KEY)
    if changed.head != SIGNED.head or changed.origin != SIGNED.origin:
        assert not changed.cosigned_by("east", EAST.public_key)


def test_another_key_does_not_pass() -> None:
    assert not SIGNED.is_by(OTHER.public_key)
    assert not COSIGNED.cosigned_by("east", OTHER.public_key)
    assert not COSIGNED.cosigned_by("west", EAST.public_key)
    forged = replace(Checkpoint.by(OTHER, SIGNED.head), origin=origin_of(KEY))
    assert not forged.is_by(KEY)
    assert not forged.is_by(OTHER.public_key)  # another's log, even though the signature is its own


def test_a_cosignature_is_no_checkpoint_signature_and_holds_at_its_time_only() -> None:
    own = SIGNED.cosign(COORDINATOR, TIME)
    assert not replace(SIGNED, signatures=((SIGNED.origin, own[1]),)).is_by(KEY)
    name, value = COSIGNED.signatures[1]
    later = value[:4] + (TIME + 1).to_bytes(8) + value[12:]
    assert not SIGNED.with_signatures((name, later)).cosigned_by("east", EAST.public_key)


def test_a_sites_name_with_spaces_can_cosign() -> None:
    site = Identity("St. Mary's + 2", EAST._key)
    signed = SIGNED.with_signatures(SIGNED.cosign(site, TIME))
    assert parse_checkpoint(signed.text, "here").cosigned_by(site.name, site.public_key)
    assert witness_name(site.name) != witness_name("St. Mary's")


@given(data=st.data())
def test_no_character_can_be_changed_unseen(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(COSIGNED.text) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    text = COSIGNED.text[:place] + other + COSIGNED.text[place + 1 :]
    if text == COSIGNED.text:
        return
    try:
        found = parse_checkpoint(text, "here")
    except LedgerError:
        return
    assert not (found.is_by(KEY) and found.cosigned_by("east", EAST.public_key))


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_any_text_is_a_checkpoint_or_a_ledger_error(text: str) -> None:
    for note in (text, f"{SIGNED.body}\n{text}", f"a\n1\n{text}\n\n— a AAAA\n"):
        with suppress(LedgerError):
            assert parse_checkpoint(note, "here").text == note
