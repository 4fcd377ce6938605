"""A stand-in for TensorFlow Serving, for tests only.

It speaks the protocol as its documentation and source say: PredictionService
and ModelService over gRPC, and version 1 of the REST API. That our client,
signatures, configuration and warm-up requests agree with it says that they
agree with our reading of the protocol, not that a real server was tried.
"""

import os

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving import operation_check, warm_up


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

    def _load(self, path: str) -> tuple[SavedModelPredictor, dict]:
        predictor = SavedModelPredictor(path)
        if os.path.exists(os.path.join(path, warm_up.PATH)):
            self.replayed += warm_up.replay(predictor)
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
