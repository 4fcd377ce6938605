"""The stand-in's REST API, version 1."""

import base64
import http.server
import json
import re

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.serving.stand_in import RefusalError, StandIn
from tests.serving.stand_in_grpc import metadata, status

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


class Handler(http.server.BaseHTTPRequestHandler):
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
