"""For every ledger and pair of sizes, what the service proves verifies, and nothing that was changed does."""

from collections.abc import Sequence
from typing import NoReturn, cast

import grpc
from hypothesis import given
from hypothesis import strategies as st

from server.audit.service import audit_pb2 as pb
from server.audit.service.archive import Archive
from server.audit.service.history import History
from server.audit.service.servicer import Servicer
from server.ledger.tree import Tree
from shared.ledger.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion

LEDGERS = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


class _Context:
    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AssertionError((code, details))


CONTEXT = cast(grpc.ServicerContext, _Context())


class _Held:
    """An archive of lines that were never signed: proofs do not depend on that."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._history = History()
        self._history.lines = list(lines)
        self._history.tree = Tree(map(leaf_hash, lines))

    def history(self) -> History:
        return self._history


def serve(lines: Sequence[bytes]) -> Servicer:
    return Servicer(cast(Archive, _Held(lines)))


def changed(hashes: Sequence[bytes], data: st.DataObject) -> list[bytes]:
    """Return another list of hashes: one flipped, dropped, doubled or added, or the order turned round."""
    found = list(hashes)
    place = data.draw(st.integers(0, len(found)), "place")
    kind = data.draw(st.sampled_from(["flip", "drop", "double", "add", "turn"]), "kind")
    if kind == "flip" and place < len(found):
        found[place] = bytes([found[place][0] ^ 1]) + found[place][1:]
    elif kind == "drop" and place < len(found):
        del found[place]
    elif kind == "double" and place < len(found):
        found.insert(place, found[place])
    elif kind == "turn" and found != found[::-1]:
        found.reverse()
    else:
        found.insert(place, bytes(32))
    return found


@given(LEDGERS, st.data())
def test_inclusion(lines: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(lines)), "size")
    index = data.draw(st.integers(0, size - 1), "index")
    request = pb.GetInclusionProofRequest(index=index, size=size)
    hashes = serve(lines).GetInclusionProof(request, CONTEXT).hashes
    leaf, root = leaf_hash(lines[index]), root_of(map(leaf_hash, lines[:size]))
    assert verify_inclusion(leaf, index, size, hashes, root)
    assert not verify_inclusion(leaf, index, size, changed(hashes, data), root)
    assert not verify_inclusion(leaf_hash(lines[index] + b"x"), index, size, hashes, root)


@given(LEDGERS, st.data())
def test_consistency(lines: list[bytes], data: st.DataObject) -> None:
    new = data.draw(st.integers(0, len(lines)), "new size")
    old = data.draw(st.integers(0, new), "old size")
    request = pb.GetConsistencyProofRequest(old_size=old, new_size=new)
    hashes = serve(lines).GetConsistencyProof(request, CONTEXT).hashes
    before, after = (root_of(map(leaf_hash, lines[:size])) for size in (old, new))
    assert verify_consistency(old, new, before, after, hashes)
    assert not verify_consistency(old, new, before, after, changed(hashes, data))
    if old:
        other = root_of(map(leaf_hash, [*lines[: old - 1], lines[old - 1] + b"x"]))
        assert not verify_consistency(old, new, other, after, hashes)


@given(LEDGERS, st.data())
def test_lines_are_told_in_order_from_any_place_to_any_size(lines: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(lines)), "size")
    first = data.draw(st.integers(0, size), "first")
    told = list(serve(lines).StreamEvents(pb.StreamEventsRequest(first=first, size=size), CONTEXT))
    assert [line for message in told for line in message.lines] == lines[first:size]
    assert all(lines[message.first] == message.lines[0] for message in told)
