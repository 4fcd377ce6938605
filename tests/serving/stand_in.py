"""A stand-in for TensorFlow Serving, for tests only.

It speaks the protocol as its documentation and source say: PredictionService
and ModelService over gRPC, and version 1 of the REST API. That our client,
signatures, configuration and warm-up requests agree with it says that they
agree with our reading of the protocol, not that a real server was tried.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from bert_tf.serving import operation_check, warm_up
from bert_tf.serving.predictor import Predictor

_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict|/metadata)?"
)
_THREADS = 8


class RefusalError(Exception):
    """A request that the server answers with an error."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code


class StandIn:
    """Loads the models of a models.config and answers for them.

    `failures` are raised, one for each of the next requests.
    """

    def __init__(self, models_config: str, models_root: str):
        with open(models_config, encoding="utf-8") as file:
            config = text_format.Parse(
                file.read(), model_server_config_pb2.ModelServerConfig()
            )
        self.failures: list[RefusalError] = []
        self.replayed = 0
        self._models = {}
        self._labels = {}
        for entry in config.model_config_list.config:
            folder = os.path.join(
                models_root, os.path.relpath(entry.base_path, "/models")
            )
            self._labels[entry.name] = dict(entry.version_labels)
            self._models[entry.name] = {
                version: self._load(os.path.join(folder, str(version)))
                for version in entry.model_version_policy.specific.versions
            }

    def _load(self, path: str) -> tuple[Predictor, dict]:
        predictor = Predictor(path)
        if os.path.exists(os.path.join(path, warm_up.PATH)):
            self.replayed += warm_up.replay(path, predictor)
        graph = operation_check.read_meta_graph(path)
        return predictor, graph.signature_def

    def find(self, name: str, version: int | None, label: str | None):
        """Returns the version asked for, its predictor and signatures."""
        if self.failures:
            raise self.failures.pop(0)
        versions = self._models.get(name, {})
        wanted = f"Latest({name})"
        if label:
            if label not in self._labels.get(name, {}):
                raise RefusalError(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"Unrecognized servable version label: {label}",
                )
            version = self._labels[name][label]
        if version is not None:
            wanted = f"Specific({name}, {version})"
        elif versions:
            version = max(versions)
        if version not in versions:
            raise RefusalError(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: {wanted}",
            )
        return version, *versions[version]

    def signature(self, spec, key: str):
        """Returns version, predictor and one SignatureDef."""
        version, predictor, signatures = self.find(*spec)
        key = key or "serving_default"
        if key not in signatures:
            raise RefusalError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{key}" not found.',
            )
        return version, predictor, key, signatures[key]

    def predict(self, spec, key: str, inputs: dict) -> tuple[int, dict]:
        """Answers one request of arrays; returns the version and arrays."""
        version, predictor, key, signature = self.signature(spec, key)
        for alias in inputs:
            if alias not in signature.inputs:
                raise RefusalError(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "input tensor alias not found in signature: "
                    f"{alias}. Inputs expected to be in the set "
                    f"{{{','.join(sorted(signature.inputs))}}}.",
                )
        missing = set(signature.inputs) - set(inputs)
        if missing:
            raise RefusalError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "Request inputs do not match required inputs for model. "
                f"Missing: {{{','.join(sorted(missing))}}}.",
            )
        return version, predictor.call(key, inputs)


# === gRPC ===


def _spec(model_spec):
    version = None
    if model_spec.HasField("version"):
        version = model_spec.version.value
    return model_spec.name, version, model_spec.version_label or None


def _aborting(method):
    def wrapped(self, request, context):
        try:
            return method(self, request)
        except RefusalError as refusal:
            context.abort(refusal.code, str(refusal))

    return wrapped


class _Services(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, stand_in: StandIn):
        self._stand_in = stand_in

    @_aborting
    def Predict(self, request):  # noqa: N802
        inputs = {
            key: tf.make_ndarray(value) for key, value in request.inputs.items()
        }
        version, outputs = self._stand_in.predict(
            _spec(request.model_spec), request.model_spec.signature_name, inputs
        )
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name = request.model_spec.name
        answer.model_spec.version.value = version
        for key, value in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return answer

    @_aborting
    def GetModelMetadata(self, request):  # noqa: N802
        return metadata(self._stand_in, _spec(request.model_spec))

    @_aborting
    def GetModelStatus(self, request):  # noqa: N802
        return status(self._stand_in, _spec(request.model_spec))


def metadata(stand_in: StandIn, spec):
    version, _, signatures = stand_in.find(*spec)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.name = spec[0]
    answer.model_spec.version.value = version
    found = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in signatures.items():
        found.signature_def[key].CopyFrom(signature)
    answer.metadata["signature_def"].Pack(found)
    return answer


def status(stand_in: StandIn, spec):
    stand_in.find(*spec)
    answer = get_model_status_pb2.GetModelStatusResponse()
    for version in sorted(stand_in._models[spec[0]], reverse=True):
        entry = answer.model_version_status.add()
        entry.version = version
        entry.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        entry.status.SetInParent()
    return answer


# === REST ===


def from_json(value):
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


def to_array(values, info) -> np.ndarray:
    if info.dtype == tf.string.as_datatype_enum:
        return np.array(from_json(values), object)
    return np.array(values, tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)


def to_json(array: np.ndarray):
    if array.dtype == object:
        return [
            to_json(np.array(row, object)) if np.ndim(row) else row.decode()
            for row in array
        ]
    return array.tolist()


def rest_predict(stand_in: StandIn, spec, body: dict) -> dict:
    *_, signature = stand_in.signature(spec, body.get("signature_name"))
    by_row = "instances" in body
    if by_row == ("inputs" in body):
        raise RefusalError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "JSON Value: {} Missing 'inputs' or 'instances' key",
        )
    names = sorted(signature.inputs)
    given = body["instances" if by_row else "inputs"]
    if by_row and given and isinstance(given[0], dict) and "b64" not in given:
        given = {name: [row[name] for row in given] for name in given[0]}
    elif not isinstance(given, dict):
        given = {names[0]: given}
    inputs = {
        name: to_array(values, signature.inputs[name])
        if name in signature.inputs
        else values
        for name, values in given.items()
    }
    _, arrays = stand_in.predict(spec, body.get("signature_name"), inputs)
    outputs = {name: to_json(array) for name, array in arrays.items()}
    only = next(iter(outputs.values())) if len(outputs) == 1 else None
    if not by_row:
        return {"outputs": outputs if only is None else only}
    if only is not None:
        return {"predictions": only}
    rows = zip(*outputs.values(), strict=True)
    return {
        "predictions": [dict(zip(outputs, row, strict=True)) for row in rows]
    }


def metadata_json(stand_in: StandIn, spec) -> dict:
    answer = metadata(stand_in, spec)
    found = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    return {
        "model_spec": json_format.MessageToDict(answer.model_spec),
        "metadata": {
            "signature_def": json_format.MessageToDict(
                found, preserving_proto_field_name=True
            )
        },
    }


def status_json(stand_in: StandIn, spec) -> dict:
    return {
        "model_version_status": [
            {
                "version": str(entry.version),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
            for entry in status(stand_in, spec).model_version_status
        ]
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it the last packet of each answer waits for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    stand_in: StandIn

    def do_GET(self):  # noqa: N802
        self._answer("GET", {})

    def do_POST(self):  # noqa: N802
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("POST", json.loads(content))

    def _answer(self, method: str, body: dict):
        try:
            http_status, answer = 200, self._route(method, body)
        except RefusalError as refusal:
            http_status = _HTTP_STATUS[refusal.code]
            answer = {"error": str(refusal)}
        content = json.dumps(answer).encode()
        self.send_response(http_status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _route(self, method: str, body: dict) -> dict:
        match = _PATH.fullmatch(self.path)
        verb = match["verb"] if match else "none"
        if match is None or (method == "POST") != (verb == ":predict"):
            raise RefusalError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Malformed request: {method} {self.path}",
            )
        version = int(match["version"]) if match["version"] else None
        spec = (match["name"], version, match["label"])
        if verb == ":predict":
            return rest_predict(self.stand_in, spec, body)
        if verb == "/metadata":
            return metadata_json(self.stand_in, spec)
        return status_json(self.stand_in, spec)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(stand_in: StandIn):
    """Gives the addresses of REST and gRPC while the block lasts."""
    grpc_server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(_THREADS),
        options=[("grpc.max_receive_message_length", 2**28)],
    )
    services = _Services(stand_in)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        services, grpc_server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        services, grpc_server
    )
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
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
