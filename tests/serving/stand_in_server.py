"""The stand-in on two ports of this machine."""

import concurrent.futures
import contextlib
import http.server
import threading

import grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests.serving.stand_in import StandIn
from tests.serving.stand_in_grpc import Services
from tests.serving.stand_in_rest import Handler

_THREADS = 8


@contextlib.contextmanager
def serve(stand_in: StandIn):
    """Gives the addresses of REST and gRPC while the block lasts."""
    grpc_server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(_THREADS),
        options=[("grpc.max_receive_message_length", 2**28)],
    )
    services = Services(stand_in)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        services, grpc_server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        services, grpc_server
    )
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    handler = type("Handler", (Handler,), {"stand_in": stand_in})
    rest_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    rest_server.daemon_threads = True
    thread = threading.Thread(target=rest_server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            f"http://127.0.0.1:{rest_server.server_port}",
            f"grpc://127.0.0.1:{grpc_port}",
        )
    finally:
        rest_server.shutdown()
        rest_server.server_close()
        grpc_server.stop(None).wait()
