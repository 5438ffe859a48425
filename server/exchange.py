"""Ask sites over Flower's Grid, and take answers as they come, until a deadline."""

import time
from collections.abc import Iterator, Mapping

from flwr.app import RecordDict
from flwr.serverapp import Grid

POLL_SECONDS = 0.02


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
    nodes = list(requests)
    messages = [grid.create_message(requests[node], kind, node, group) for node in nodes]
    waiting = {sent: node for sent, node in zip(grid.push_messages(messages), nodes, strict=True) if sent}
    unsent = set(nodes) - set(waiting.values())
    end = time.monotonic() + deadline
    while waiting and time.monotonic() < end:
        for reply in grid.pull_messages(list(waiting)):
            # The error Flower makes for a lost node names itself as the source: map by the question.
            node = waiting.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                yield node, reply.content if reply.has_content() else None
        if waiting:
            time.sleep(POLL_SECONDS)
    for node in [*waiting.values(), *unsent]:
        yield node, None
