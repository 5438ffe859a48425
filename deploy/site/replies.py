"""Error replies as they leave a site: Flower's code and a fixed sentence, whatever was raised."""

import json
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TypeAlias

from flwr.app import Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.app.metadata import Metadata
from flwr.common.constant import ErrorCode
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree

from shared.files import write_durably

Send: TypeAlias = Callable[[Message, ObjectTree, float], tuple[set[str], str]]
# In place of how long the app took, which Flower tells the centre with every answer: a step takes longer the more
# patients it draws. When an answer comes the centre sees all the same.
RUNTIME = 0.0

PushObject: TypeAlias = Callable[[int, str, str, bytes], None]

# Nothing here depends on data: Flower would send the text of the exception, which may name a patient.
SENTENCES = {
    ErrorCode.UNKNOWN: "the site met an unexpected error",
    ErrorCode.LOAD_CLIENT_APP_EXCEPTION: "the app could not be loaded at the site",
    ErrorCode.CLIENT_APP_RAISED_EXCEPTION: "the app failed at the site",
    ErrorCode.MESSAGE_UNAVAILABLE: "the request did not reach the site whole",
    ErrorCode.MOD_FAILED_PRECONDITION: "the app does not run on what it was sent",
    ErrorCode.INVALID_FAB: "the site has not approved this app or these run settings",
    ErrorCode.CLIENT_APP_CRASHED: "the site's work on the request was cut off; ask again",
}

_OF_A_REQUEST = (
    "run_id",
    "message_id",
    "src_node_id",
    "dst_node_id",
    "reply_to_message_id",
    "group_id",
    "created_at",
    "ttl",
    "message_type",
)


def error(code: int) -> Error:
    """Return the error that may leave for a code; an unknown code is not sent on either."""
    code = code if code in SENTENCES else ErrorCode.UNKNOWN
    return Error(code, SENTENCES[code])


def send_error(reply: Message, send: Send, push_object: PushObject) -> None:
    """Send the same error reply without its text.

    Both the message and the object made of it carry the text, so both are made anew.
    """
    clean = make_message(metadata=copy(reply.metadata), error=error(reply.error.code))
    clean.metadata.__dict__["_message_id"] = clean.object_id
    wanted, session = send(clean, get_object_tree(clean), RUNTIME)
    for id_, part in get_all_nested_objects(clean).items():
        if id_ in wanted:
            push_object(clean.metadata.run_id, session, id_, part.deflate())


class InFlight:
    """The request a site works on, on disk: a SuperNode that was killed owes its coordinator an answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, request: Message) -> None:
        """Write down what an answer needs."""
        said = {name: getattr(request.metadata, name) for name in _OF_A_REQUEST}
        write_durably(self._path, json.dumps(said).encode())

    def end(self) -> None:
        """Forget the request: it was answered."""
        self._path.unlink(missing_ok=True)

    def owed(self) -> Message | None:
        """Return the request that was never answered, without its content; None where there is none."""
        try:
            return make_message(metadata=Metadata(**json.loads(self._path.read_bytes())), content=RecordDict())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # a file of another version: nothing can be answered
            self.end()
            return None
