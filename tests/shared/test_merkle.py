"""The Merkle tree of RFC 6962: the published vectors, and proofs that hold only for what they prove."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.merkle import (
    EMPTY,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The tree that Certificate Transparency's own tests use.
CT_ENTRIES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
CT_LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in CT_ENTRIES]
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
ROOTS = [root_of(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


def test_roots_of_certificate_transparency() -> None:
    assert root_of(CT_LEAVES).hex() == CT_ROOT
    assert root_of([]) == EMPTY
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(CT_LEAVES[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def by_definition(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962, section 2.1, defines it: by halves, the left a power of two."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:half]) + by_definition(leaves[half:])).digest()


def test_the_frontier_is_the_definition() -> None:
    frontier = Frontier()
    for size in range(len(LEAVES) + 1):
        assert frontier.root == ROOTS[size] == by_definition(LEAVES[:size])
        assert frontier.size == size
        if size < len(LEAVES):
            frontier.append(LEAVES[size])


def test_every_proof_holds() -> None:
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            assert verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
        for old in range(size + 1):
            proof = consistency_proof(LEAVES[:size], old)
            assert verify_consistency(old, size, ROOTS[old], ROOTS[size], proof)


@st.composite
def altered(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """Return a proof other than `proof`: a bit turned, a hash dropped, inserted or moved."""
    found = list(proof)
    kind = draw(st.sampled_from(["bit", "drop", "insert", "swap"] if found else ["insert"]))
    place = draw(st.integers(0, max(0, len(found) - 1)))
    if kind == "bit":
        value = bytearray(found[place])
        value[draw(st.integers(0, 31))] ^= 1 << draw(st.integers(0, 7))
        found[place] = bytes(value)
    elif kind == "drop":
        del found[place]
    elif kind == "insert":
        found.insert(place, draw(st.sampled_from([*LEAVES, *ROOTS, b"", *found])))
    else:
        found[place], found[0] = found[0], found[place]
    return found


@given(data=st.data())
def test_no_altered_inclusion_holds(data: st.DataObject) -> None:
    """The size is no part of it: trees of several sizes share a path, and a checkpoint signs size with root."""
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(LEAVES[:size], index))
    other = data.draw(altered(proof))
    if other != proof:
        assert not verify_inclusion(LEAVES[index], index, size, other, ROOTS[size])
    leaf, root = data.draw(st.sampled_from(LEAVES)), data.draw(st.sampled_from(ROOTS))
    place = data.draw(st.integers(-2, 60))
    if leaf != LEAVES[index]:
        assert not verify_inclusion(leaf, index, size, proof, ROOTS[size])
    if place != index:
        assert not verify_inclusion(LEAVES[index], place, size, proof, ROOTS[size])
    if root != ROOTS[size]:
        assert not verify_inclusion(LEAVES[index], index, size, proof, root)


@given(data=st.data())
def test_no_altered_consistency_holds(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(LEAVES)))
    old = data.draw(st.integers(1, size))
    proof = list(consistency_proof(LEAVES[:size], old))
    other = data.draw(altered(proof))
    if other != proof:
        assert not verify_consistency(old, size, ROOTS[old], ROOTS[size], other)
    root = data.draw(st.sampled_from(ROOTS))
    if root != ROOTS[old]:
        assert not verify_consistency(old, size, root, ROOTS[size], proof)
    if root != ROOTS[size]:
        assert not verify_consistency(old, size, ROOTS[old], root, proof)


@given(size=st.integers(1, 39), place=st.integers(0, 38))
def test_a_tree_with_a_leaf_changed_did_not_grow_from_the_old_one(size: int, place: int) -> None:
    """Whatever proof is made from the changed leaves."""
    place %= size
    forked = [*LEAVES[:place], leaf_hash(b"other"), *LEAVES[place + 1 :]]
    for leaves in (LEAVES, forked):
        proof = consistency_proof(leaves, size)
        assert not verify_consistency(size, len(LEAVES), ROOTS[size], root_of(forked), proof)


@pytest.mark.parametrize(("old", "size"), [(-1, 3), (4, 3), (3, -1), (0, -1)])
def test_sizes_that_make_no_sense_prove_nothing(old: int, size: int) -> None:
    assert not verify_consistency(old, size, ROOTS[3], ROOTS[3], [])
    assert not verify_inclusion(LEAVES[0], old, size, [], ROOTS[1])
