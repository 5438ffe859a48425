"""The Merkle tree of RFC 9162 (and 6962), section 2.1: roots, and proofs that a log holds an entry or only grew.

Pure functions of leaf hashes. A node is SHA-256, with a leading byte that keeps leaves (0) and inner nodes
(1) apart. A proof is a list of 32-byte hashes; a tree of n leaves needs about log2(n) of them.

>>> leaves = [leaf_hash(bytes([i])) for i in range(5)]
>>> verify_inclusion(leaves[3], 3, 5, inclusion_proof(leaves, 3), root_of(leaves))
True
>>> verify_consistency(2, 5, root_of(leaves[:2]), root_of(leaves), consistency_proof(leaves, 2))
True
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees of a growing log: all that is needed to append and to know the root."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []  # of complete subtrees, largest first

    def append(self, leaf: bytes) -> None:
        """Take in the next leaf's hash."""
        self.size += 1
        trailing = (self.size & -self.size).bit_length() - 1  # as many pairs as the size has trailing zeros
        for _ in range(trailing):
            leaf = node_hash(self._roots.pop(), leaf)
        self._roots.append(leaf)

    @property
    def root(self) -> bytes:
        """The tree's root; of no leaves, the hash of nothing."""
        if not self._roots:
            return EMPTY
        *others, total = self._roots
        for left in reversed(others):
            total = node_hash(left, total)
        return total


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of a tree of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root


def split(size: int) -> int:
    """Return the largest power of two below `size` (at least 2): how many leaves go to the left."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that leaf `index` is in the tree of `leaves` (RFC 9162, 2.1.3.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"entry {index} of a log of {len(leaves)}")
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if index < middle:
        return [*inclusion_proof(leaves[:middle], index), root_of(leaves[middle:])]
    return [*inclusion_proof(leaves[middle:], index - middle), root_of(leaves[:middle])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree of the first `old_size` leaves grew into this one (RFC 9162, 2.1.4.1).

    Raises:
        IndexError: the log was never that long.
    """
    if not 0 <= old_size <= len(leaves):
        raise IndexError(f"size {old_size} of a log of {len(leaves)}")
    return _subproof(leaves, old_size, whole=True) if old_size else []


def _subproof(leaves: Sequence[bytes], old: int, *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    middle = split(len(leaves))
    if old <= middle:
        return [*_subproof(leaves[:middle], old, whole=whole), root_of(leaves[middle:])]
    return [*_subproof(leaves[middle:], old - middle, whole=False), root_of(leaves[:middle])]


def _to_right_child(place: int, last: int) -> tuple[int, int]:
    """Climb from a node at `place` of `last` to where it is a right child; below, it has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows that `leaf` is entry `index` of the log of that size and root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, total = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            total = node_hash(sibling, total)
            place, last = _to_right_child(place, last)
        else:
            total = node_hash(total, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and total == root


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether `proof` shows that the older log is a beginning of the newer one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:
        return not proof and old_root == EMPTY
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a complete tree is itself the first node of the proof
        path.insert(0, old_root)
    if not path:
        return False
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _to_right_child(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
