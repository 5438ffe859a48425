"""The tree that is kept gives the roots and proofs that RFC 9162 defines, at every size that the log ever had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ledger.tree import Tree
from shared.ledger.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of

LEAVES = [leaf_hash(bytes([i])) for i in range(70)]
TREE = Tree(LEAVES)


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_roots_and_consistency_are_those_made_from_the_leaves(size: int) -> None:
    assert TREE.root(size) == root_of(LEAVES[:size])
    assert [TREE.consistency(old, size) for old in range(size + 1)] == [
        consistency_proof(LEAVES[:size], old) for old in range(size + 1)
    ]


@given(st.integers(1, len(LEAVES)).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_inclusion_is_that_made_from_the_leaves(case: tuple[int, int]) -> None:
    index, size = case
    assert TREE.inclusion(index, size) == inclusion_proof(LEAVES[:size], index)


def test_what_the_log_never_had_is_refused() -> None:
    too_much = len(LEAVES) + 1
    for ask in (
        lambda: TREE.root(too_much),
        lambda: TREE.inclusion(0, too_much),
        lambda: TREE.inclusion(5, 5),
        lambda: TREE.inclusion(-1, 5),
        lambda: TREE.consistency(6, 5),
        lambda: TREE.consistency(0, too_much),
    ):
        with pytest.raises(IndexError, match="of a log of"):
            ask()
