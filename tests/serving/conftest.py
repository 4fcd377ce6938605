"""Servers to ask: the stand-in, or a real one where it is named."""

import dataclasses
import os
import pathlib

import pytest

from bert_tf.inference.model_files import find_version
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.serving.stand_in import StandIn
from tests.serving.stand_in_server import serve

_REAL_SERVER = "BERT_TF_SERVING_ADDRESS"
_REAL_MODEL = "BERT_TF_SERVING_MODEL"


@dataclasses.dataclass(frozen=True)
class Server:
    """Where a server is, and what the version it serves answers."""

    rest: str
    grpc: str
    name: str
    predictor: SavedModelPredictor
    stand_in: StandIn | None


@pytest.fixture(scope="session")
def server(saved_model):
    """The stand-in with the tiny model, or the server that is named.

    BERT_TF_SERVING_ADDRESS="host:8501,grpc://host:8500" is a real TensorFlow
    Serving of the model folder BERT_TF_SERVING_MODEL (saved_models/<name>).
    """
    if _REAL_SERVER in os.environ:
        rest, grpc = os.environ[_REAL_SERVER].split(",")
        model = pathlib.Path(os.environ[_REAL_MODEL])
        predictor = SavedModelPredictor(find_version(str(model)))
        yield Server(rest, grpc, model.name, predictor, None)
        return
    model = pathlib.Path(saved_model).parent
    stand_in = StandIn(
        str(model / "serving" / "models.config"), str(model.parent)
    )
    with serve(stand_in) as (rest, grpc):
        yield Server(
            rest, grpc, model.name, SavedModelPredictor(saved_model), stand_in
        )


@pytest.fixture(params=["rest", "grpc"])
def address(server, request):
    return getattr(server, request.param)
