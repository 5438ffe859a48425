"""The methods of `audit.proto`, from the descriptor that protoc wrote: a server's handlers, a client's calls."""

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from server.audit.service import audit_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Audit"]
_METHODS: dict[str, MethodDescriptor] = {method.name: method for method in SERVICE.methods}


def handlers(servicer: object) -> grpc.GenericRpcHandler:
    """Return what answers every method of the service by the servicer's method of the same name."""
    return grpc.method_handlers_generic_handler(
        SERVICE.full_name, {name: _handler(method, getattr(servicer, name)) for name, method in _METHODS.items()}
    )


def call(channel: grpc.Channel, name: str, request: Message, timeout: float | None = None) -> Any:  # noqa: ANN401
    """Call a method: return its answer, or an iterator over its answers.

    Raises:
        grpc.RpcError: it failed; of a stream, when it is read.
    """
    method = _METHODS[name]
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    made = make(
        f"/{SERVICE.full_name}/{name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return made(request, timeout=timeout)


def _handler(method: MethodDescriptor, behaviour: Any) -> "grpc.RpcMethodHandler[Any, Any]":  # noqa: ANN401
    """Return a handler that reads the request itself: what gRPC cannot read, it would keep open as a stream."""
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    def read(data: bytes, context: grpc.ServicerContext) -> Message:
        try:
            return request.FromString(data)
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a {method.input_type.full_name}")

    def unary(data: bytes, context: grpc.ServicerContext) -> Message:
        made: Message = behaviour(read(data, context), context)
        return made

    def stream(data: bytes, context: grpc.ServicerContext) -> Iterator[Message]:
        yield from behaviour(read(data, context), context)

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=answer.SerializeToString)
    return grpc.unary_unary_rpc_method_handler(unary, response_serializer=answer.SerializeToString)
