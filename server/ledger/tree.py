"""A Merkle tree that is kept, so that many proofs of one log cost little: RFC 9162 proofs in O(log² n) hashes.

`shared.ledger.merkle` makes the same proofs from the leaves alone, in O(n): enough for one, too slow to serve.

>>> from shared.ledger.merkle import inclusion_proof, leaf_hash
>>> leaves = [leaf_hash(bytes([i])) for i in range(9)]
>>> Tree(leaves).inclusion(3, 7) == inclusion_proof(leaves[:7], 3)
True
"""

from collections.abc import Iterable

from shared.ledger.merkle import EMPTY, node_hash, split


class Tree:
    """All complete subtrees of a growing log; answers for the whole and for every earlier size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Start with these leaf hashes."""
        self._levels: list[list[bytes]] = [[]]  # [k][i]: root over the leaves from i * 2^k to (i + 1) * 2^k
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Take in the next leaf's hash."""
        node = leaf
        for level in self._levels:
            level.append(node)
            if len(level) % 2:
                return
            node = node_hash(level[-2], level[-1])
        self._levels.append([node])

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves.

        Raises:
            IndexError: the log was never that long.
        """
        self._check(size)
        return self._over(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf `index` is among the first `size` (RFC 9162, 2.1.3.1).

        Raises:
            IndexError: there is no such leaf, or the log was never that long.
        """
        self._check(size)
        if not 0 <= index < size:
            raise IndexError(f"entry {index} of a log of {size}")
        path, begin, end = [], 0, size
        while end - begin > 1:
            middle = begin + split(end - begin)
            if index < middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `old` leaves grew into the first `new` (RFC 9162, 2.1.4.1).

        Raises:
            IndexError: the log was never that long, or it shrank in between.
        """
        self._check(new)
        if not 0 <= old <= new:
            raise IndexError(f"size {old} of a log of {new}")
        path, begin, end = [], 0, new
        while 0 < old < end:
            middle = begin + split(end - begin)
            if old <= middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        if begin:  # the older tree ends with this subtree, whose root cannot be told from its own alone
            path.append(self._over(begin, end))
        return path[::-1]

    def _over(self, begin: int, end: int) -> bytes:
        """Return the root over leaves `begin` to `end`; a power of two not below their number divides `begin`."""
        width = end - begin
        if width & (width - 1) == 0:
            depth = width.bit_length() - 1
            return self._levels[depth][begin >> depth]
        middle = begin + split(width)
        return node_hash(self._over(begin, middle), self._over(middle, end))

    def _check(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise IndexError(f"size {size} of a log of {self.size}")
