"""The files that travel: whatever changed on the way is refused, and two people can tell whose they are."""

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from deploy.certificates import pem, present, requested_key, signing_request, subject
from deploy.issuing import LONG, Issuer
from deploy.requests import MOST_BYTES, Answer, Request, node_line
from shared.canonical import canonical
from shared.errors import ProtocolError, UsageError
from shared.fingerprint import check_fingerprint, fingerprint
from shared.identity import Identity

NOW = present()
SITE = Identity("hospital-a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CENTRE = Identity("coordinator", Ed25519PrivateKey.from_private_bytes(bytes(32)))
NODE, TLS, CA_KEY = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
CA = Issuer(subject("stroke-net"), CA_KEY, NOW + LONG)

REQUEST = Request(
    signing_key=SITE.public_key,
    name="hospital-a",
    node_key=node_line(NODE.public_key()),
    csr=pem(signing_request(TLS, "hospital-a")),
).signed(SITE)
ANSWER = Answer(
    signing_key=CENTRE.public_key,
    name="hospital-a",
    federation="stroke-net",
    addresses=("centre.example.org:8443", "[::1]:8443"),
    ca=pem(CA.ca_certificate(NOW)),
    certificate=pem(CA.client_certificate("hospital-a", TLS.public_key(), NOW, 90)),
    delta=1e-5,
    overlap=1,
).signed(CENTRE)
FILES = {"request": REQUEST.file(), "answer": ANSWER.file()}
KINDS: dict[str, type[Request] | type[Answer]] = {"request": Request, "answer": Answer}
kinds = st.sampled_from(sorted(KINDS))


def refused(kind: str, data: bytes) -> str:
    """Assert that a file is refused with one line that names it, and return the line."""
    with pytest.raises(ProtocolError) as refusal:
        KINDS[kind].read(data, f"a.{kind}")
    said = str(refusal.value)
    assert said.startswith(f"a.{kind}: ")
    assert "have it sent again" in said
    return said


def test_what_was_written_is_read() -> None:
    assert Request.read(REQUEST.file(), "") == REQUEST
    assert Answer.read(ANSWER.file(), "") == ANSWER


@given(kind=kinds, place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_any_changed_byte_is_refused(kind: str, place: float, byte: int) -> None:
    data = bytearray(FILES[kind])
    at = int(place * len(data))
    data[at] = byte if data[at] != byte else byte ^ 1
    refused(kind, bytes(data))


def test_each_single_byte_matters() -> None:
    for kind, data in FILES.items():
        for at in range(len(data)):
            refused(kind, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@given(kind=kinds, begin=st.floats(0, 1), end=st.floats(0, 1), put=st.binary(max_size=8))
def test_any_part_cut_out_or_replaced_is_refused(kind: str, begin: float, end: float, put: bytes) -> None:
    data = FILES[kind]
    low, high = sorted((int(begin * len(data)), int(end * len(data))))
    changed = data[:low] + put + data[high:]
    if changed != data:
        refused(kind, changed)


@pytest.mark.parametrize("change", [b"\n", b" ", b"\0"])
def test_what_a_mail_program_adds_is_refused_with_the_remedy(change: bytes) -> None:
    assert "as a file rather than as text" in refused("request", FILES["request"] + change)
    refused("answer", FILES["answer"].replace(b"\n", b"\r\n"))


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(kind=kinds, data=st.binary(max_size=64) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_what_is_something_else_is_refused(kind: str, data: bytes) -> None:
    refused(kind, data)


VALUES = st.none() | st.integers() | st.text(max_size=80) | st.lists(st.text(max_size=8), max_size=2)


@given(kind=kinds, key=st.integers(0, 20), value=VALUES)
def test_a_value_changed_without_its_owners_key_is_refused(kind: str, key: int, value: object) -> None:
    fields = json.loads(FILES[kind])
    name = sorted(fields)[key % len(fields)]
    if fields[name] != value:
        refused(kind, canonical(fields | {name: value}) + b"\n")


def test_a_signature_for_one_kind_is_none_for_the_other() -> None:
    moved = REQUEST.model_copy(update={"signature": SITE.sign("site-answer", REQUEST.body())})
    assert "changed since it was signed" in refused("request", moved.file())


def test_what_is_too_large_is_not_even_parsed() -> None:
    assert "too large" in refused("request", b"[" * (MOST_BYTES + 1))
    refused("request", b"[" * MOST_BYTES)


BAD_FIELDS = {
    "a name that is a path": {"name": "../hospital"},
    "a name with a line feed": {"name": "hospital-a\n"},
    "a node key with a comment": {"node_key": REQUEST.node_key + " me@here"},
    "two node keys": {"node_key": f"{REQUEST.node_key}\n{REQUEST.node_key}"},
    "a node key Flower does not take": {"node_key": "ssh-ed25519 AAAA"},
    "an Ed25519 node key": {
        "node_key": Ed25519PrivateKey.from_private_bytes(bytes(32))
        .public_key()
        .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        .decode()
    },
    "no CSR": {"csr": "none"},
    "a CSR for another's key": {"csr": REQUEST.csr[:200] + REQUEST.csr[210:]},
    "a key too many": {"nodes": 3},
}


@pytest.mark.parametrize("kind", BAD_FIELDS)
def test_even_signed_a_request_has_to_make_sense(kind: str) -> None:
    fields = json.loads(REQUEST.file()) | BAD_FIELDS[kind]
    del fields["signature"]
    fields["signature"] = SITE.sign("site-request", canonical(fields))
    assert "not a site's request" in refused("request", canonical(fields) + b"\n")


ENCODED = {"csr": "".join(REQUEST.csr.splitlines()[1:-1]), "node_key": REQUEST.node_key.split(" ")[1]}


@pytest.mark.parametrize("field", ENCODED)
def test_a_stranger_who_signs_nonsense_gets_a_sentence(field: str) -> None:
    one_line = re.sub("(?<!-)\n(?!-)", "", getattr(REQUEST, field))
    raw = base64.b64decode(ENCODED[field])
    for at in range(len(raw)):
        for bit in (0x01, 0x80):
            spoilt = base64.b64encode(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]).decode()
            value = one_line.replace(ENCODED[field], spoilt)
            other = REQUEST.model_copy(update={field: value}).signed(SITE)
            try:
                read = Request.read(other.file(), "a.request")
            except ProtocolError:
                continue
            # OpenSSL does not look at the count of bits that a signature leaves unused
            assert (requested_key(read.csr), read.node_key) == (TLS.public_key(), REQUEST.node_key)


@pytest.mark.parametrize(
    "address", ["centre", "centre:", "https://centre:8443", "centre:8443/x", "a b:1", "centre:8443\n", ":8443"]
)
def test_even_signed_an_answer_has_to_name_addresses(address: str) -> None:
    fields = json.loads(ANSWER.file()) | {"addresses": [address]}
    del fields["signature"]
    fields["signature"] = CENTRE.sign("site-answer", canonical(fields))
    assert "addresses: 0" in refused("answer", canonical(fields) + b"\n")


def test_a_fingerprint_is_128_bits_in_groups_of_four() -> None:
    groups = REQUEST.fingerprint.split(" ")
    assert [len(group) for group in groups] == [4] * 8
    assert len(bytes.fromhex("".join(groups))) * 8 == 128


def test_a_fingerprint_is_heard_however_it_is_typed() -> None:
    for said in (REQUEST.fingerprint, REQUEST.fingerprint.lower(), REQUEST.fingerprint.replace(" ", "\t ")):
        check_fingerprint(f" {said}\n", REQUEST.body(), "it")


@given(place=st.integers(0, 31), digit=st.sampled_from("0123456789ABCDEF"))
def test_a_fingerprint_with_another_digit_is_refused_and_the_right_one_not_told(place: int, digit: str) -> None:
    right = fingerprint(b"x").replace(" ", "")
    said = right[:place] + digit + right[place + 1 :]
    if said == right:
        check_fingerprint(said, b"x", "it")
        return
    with pytest.raises(UsageError, match="not the fingerprint of it") as refusal:
        check_fingerprint(said, b"x", "it")
    assert fingerprint(b"x") not in str(refusal.value)
    assert right not in str(refusal.value)


@pytest.mark.parametrize("said", ["", "ABCD", fingerprint(b"x") + " 0000", "x" * 32, fingerprint(b"x")[:-1] + "é"])
def test_what_is_no_fingerprint_is_said_to_be_none(said: str) -> None:
    with pytest.raises(UsageError, match="8 groups of four"):
        check_fingerprint(said, b"x", "it")


def test_another_value_of_any_field_has_another_fingerprint() -> None:
    others = [
        REQUEST.model_copy(update={"name": "hospital-b"}),
        REQUEST.model_copy(update={"signing_key": CENTRE.public_key}),
        REQUEST.model_copy(update={"node_key": node_line(TLS.public_key())}),
        REQUEST.model_copy(update={"csr": pem(signing_request(NODE, "hospital-a"))}),
    ]
    assert len({other.fingerprint for other in [REQUEST, *others]}) == 5
