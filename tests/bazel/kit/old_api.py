"""Stands between Bazel and buildbox-casd: `old_api.py UPSTREAM LISTEN` passes every call on as it is, but says in the server's stead that
it speaks version 2.0 of the remote execution API, the only one that these Bazels accept. Runs with BuildGrid's Python."""

import sys
from concurrent import futures

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2

UPSTREAM, LISTEN = sys.argv[1:3]
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
CHANNEL = grpc.insecure_channel(UPSTREAM, options=OPTIONS)
OF_ONE_HOP = {"user-agent", "content-type", "te", "accept-encoding"}


def metadata(context):
    pairs = context.invocation_metadata()
    return [(key, value) for key, value in pairs if key not in OF_ONE_HOP and not key.startswith((":", "grpc-"))]


def forward(method):
    def handle(requests, context):
        call = CHANNEL.stream_stream(method)(requests, metadata=metadata(context))
        context.add_callback(call.cancel)
        try:
            yield from call
        except grpc.RpcError as error:
            context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
            context.abort(error.code(), error.details() or "")

    return handle


def capabilities(method):
    def handle(requests, _):
        answer = CHANNEL.unary_unary(method)(next(iter(requests)))
        message = remote_execution_pb2.ServerCapabilities.FromString(answer)
        message.low_api_version.major, message.low_api_version.minor = 2, 0
        yield message.SerializeToString()

    return handle


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        make = capabilities if details.method.endswith("/GetCapabilities") else forward
        return grpc.stream_stream_rpc_method_handler(make(details.method))


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(100), options=OPTIONS, handlers=(Handler(),))
    server.add_insecure_port(LISTEN)
    server.start()
    server.wait_for_termination()
