"""Ask sites over Flower's Grid, and take answers as they come, until a deadline."""

import time
from collections.abc import Iterator, Mapping

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

POLL_SECONDS = 0.02


def connected(grid: Grid, count: int, *, deadline: float) -> list[int]:
    """Return the connected nodes, after waiting until there are `count` of them or the deadline passed."""
    end = time.monotonic() + deadline
    while len(nodes := list(grid.get_node_ids())) < count and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return nodes


def ask(
    grid: Grid, kind: str, requests: Mapping[int, RecordDict], *, group: str, deadline: float
) -> Iterator[tuple[int, RecordDict | None]]:
    """Send each node its request; yield (node, answer), or (node, None) for one that failed or was late.

    Args:
        grid: Flower's way to the nodes.
        kind: message type.
        requests: content by node.
        group: label of the exchange in Flower's records.
        deadline: seconds to wait for the last answer.
    """
    waiting: dict[str, int] = {}
    unsent: list[int] = []
    for node, content in requests.items():
        # One at a time: Flower leaves out what it could not send, and does not say which.
        sent = list(grid.push_messages([Message(content, node, kind, group_id=group)]))
        if sent and sent[0]:
            waiting[sent[0]] = node
        else:
            unsent.append(node)
    end = time.monotonic() + deadline
    while waiting and time.monotonic() < end:
        for reply in grid.pull_messages(list(waiting)):
            # The error Flower makes for a lost node names itself as the source: map by the question.
            asked = reply.metadata.reply_to_message_id
            if asked in waiting:
                yield waiting.pop(asked), reply.content if reply.has_content() else None
        if waiting:
            time.sleep(POLL_SECONDS)
    for node in [*waiting.values(), *unsent]:
        yield node, None
