"""The embedded engine: Flower's Grid in one process, no Ray, no network, up in about a second.

The same ServerApp and ClientApp run as across hospitals. Sites work side by side, one thread each and one
torch thread inside, so that results do not depend on how many cores there are.
"""

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity


class EmbeddedGrid(Grid):
    """Delivers messages to a ClientApp in this process; replies come back as they are ready."""

    def __init__(self, client: ClientApp, contexts: Sequence[Context], workers: int) -> None:
        self._client = client
        self._contexts = {context.node_id: context for context in contexts}
        self._pool = ThreadPoolExecutor(max_workers=workers)
        self._pending: dict[str, Future[Message]] = {}
        self._ids = itertools.count(1)
        # Flower keeps the sender's identity by process; its own simulation sets these three as well.
        TaskIdentity.task_id = TaskIdentity.run_id = 1
        TaskIdentity.node_id = SUPERLINK_NODE_ID

    def set_run(self, run: Run) -> None:
        """Embedded runs need no registration."""

    @property
    def run(self) -> Run:
        """Return an empty run record."""
        return Run.create_empty(run_id=1)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """See `Grid.create_message`."""
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return one id a site."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand messages to the sites; see `Grid.push_messages`."""
        sent: list[str] = []
        for message in messages:
            name = str(next(self._ids))
            message.metadata.__dict__["_message_id"] = name
            context = self._contexts[message.metadata.dst_node_id]
            self._pending[name] = self._pool.submit(self._client, message, context)
            sent.append(name)
        return sent

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are ready; see `Grid.pull_messages`."""
        ready = [name for name in message_ids if name in self._pending and self._pending[name].done()]
        return [self._pending.pop(name).result() for name in ready]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """See `Grid.send_and_receive`; here every message is answered."""
        return [self._pending.pop(name).result(timeout) for name in self.push_messages(messages)]

    def close(self) -> None:
        """Let running sites finish and stop."""
        self._pool.shutdown(cancel_futures=True)
