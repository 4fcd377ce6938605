"""The client's gRPC transport; needs tensorflow-serving-api."""

from collections.abc import Mapping, Sequence

import numpy as np

from bert_tf.errors import InputError, InstallationError, ServerError
from bert_tf.serving.client import RetryableError, Target

try:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ModuleNotFoundError as error:
    raise InstallationError(
        f"grpc:// needs the package {error.name}: pip install . in the clone"
    ) from error

# The default of 4 MiB is less than a batch of embeddings may take.
_MOST_BYTES = 256 * 2**20
_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_WRONG_REQUEST = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
)


class GrpcTransport:
    """TensorFlow Serving's PredictionService and ModelService."""

    def __init__(self, target: Target):
        self._address = target.address
        self._timeout_seconds = target.timeout_seconds
        self._spec = model_pb2.ModelSpec(name=target.model)
        if target.version is not None:
            self._spec.version.value = target.version
        if target.label is not None:
            self._spec.version_label = target.label
        channel = grpc.insecure_channel(
            target.address,
            options=[
                ("grpc.max_receive_message_length", _MOST_BYTES),
                ("grpc.max_send_message_length", _MOST_BYTES),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            channel
        )
        self._model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, inputs: Mapping[str, Sequence], signature: str) -> dict:
        """Sends one predict request."""
        request = predict_pb2.PredictRequest()
        request.model_spec.CopyFrom(self._spec)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(_to_tensor(values))
        answer = self._call(self._prediction.Predict, request)
        return {
            name: _to_list(tf.make_ndarray(value))
            for name, value in answer.outputs.items()
        }

    def status(self) -> list[dict[str, str]]:
        """Sends one status request."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.CopyFrom(self._spec)
        answer = self._call(self._model.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            {
                "version": str(entry.version),
                "state": states.Name(entry.state),
                "error": entry.status.error_message,
            }
            for entry in answer.model_version_status
        ]

    def metadata(self) -> dict[str, dict[str, list[str]]]:
        """Sends one metadata request."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        request.model_spec.CopyFrom(self._spec)
        answer = self._call(self._prediction.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return {
            name: {
                "inputs": sorted(signature.inputs),
                "outputs": sorted(signature.outputs),
            }
            for name, signature in signatures.signature_def.items()
            if not name.startswith("__")
        }

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
        told = f"{code.name}: {details}"
        if code in _RETRIED:
            raise RetryableError(told)
        if code in _WRONG_REQUEST:
            raise InputError(f"{self._address} refused the request, {told}")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise ServerError(
                f"{self._address} gave no answer within "
                f"{self._timeout_seconds:g} s"
            )
        raise ServerError(f"{self._address} cannot answer, {told}")


def _to_tensor(values: Sequence):
    if len(values) == 0 or isinstance(values[0], str | bytes):
        encoded = [
            value if isinstance(value, bytes) else value.encode(errors="ignore")
            for value in values
        ]
        return tf.make_tensor_proto(
            encoded, dtype=tf.string, shape=[len(values)]
        )
    return tf.make_tensor_proto(np.array(values), dtype=tf.int32)


def _to_list(array: np.ndarray) -> list:
    if array.dtype == object:
        decode = np.vectorize(lambda value: value.decode(), otypes=[object])
        return decode(array).tolist() if array.size else array.tolist()
    return array.tolist()
