"""The stand-in's PredictionService and ModelService."""

import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.stand_in import RefusalError, StandIn


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


class Services(
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
