"""Builds the ONNX graph of a model, from its weights (the extra `onnx`).

Written as PyTorch's exports of BERT are, so that ONNX Runtime knows its
patterns again and joins them: three products for query, key and value, a
division of the scores, and the mask made of ones by a subtraction.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bert_tf.models import classifier
from bert_tf.models.classifier import ClassifierWeights
from bert_tf.models.encoder import Dense, EncoderWeights, LayerNorm

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_MASKED = np.float32(-1e9)
# The first with GELU, and a version of the file that readers of it know.
_OPSET, _FILE_VERSION = 20, 10


class _Graph:
    """Nodes, weights and names, in the order of their use."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._names: dict[object, str] = {}
        self._kept: list[object] = []

    def constant(self, value: np.ndarray, name: str) -> str:
        """Adds a weight of this name."""
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, tensor, columns: slice, name: str) -> str:
        """Adds columns of a tensor, once if layers share it."""
        key = (id(tensor), columns.start, columns.stop)
        if key not in self._names:
            # So that no other gets its id.
            self._kept.append(tensor)
            value = np.asarray(tensor).astype(np.float32)[..., columns]
            self._names[key] = self.constant(np.ascontiguousarray(value), name)
        return self._names[key]

    def add(self, operation: str, *inputs: str, **attributes) -> str:
        """Adds a node and returns the name of its only output."""
        output = f"{operation}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operation, inputs, [output], **attributes)
        )
        return output

    def numbers(self, *values: int) -> str:
        """Adds a list of whole numbers, once each."""
        if values not in self._names:
            name = f"numbers_{len(self._names)}"
            self._names[values] = self.constant(
                np.array(values, np.int64), name
            )
        return self._names[values]

    def scalar(self, value: float) -> str:
        """Adds a number, once each."""
        if value not in self._names:
            name = f"scalar_{len(self._names)}"
            self._names[value] = self.constant(np.float32(value), name)
        return self._names[value]

    def dense(
        self, x: str, layer: Dense, name: str, columns: slice = slice(None)
    ) -> str:
        """Adds a product and its bias."""
        kernel = self.weight(layer.kernel, columns, f"{name}.weight")
        bias = self.weight(layer.bias, columns, f"{name}.bias")
        return self.add("Add", self.add("MatMul", x, kernel), bias)

    def norm(self, x: str, layer: LayerNorm, name: str) -> str:
        """Adds a normalization over the last axis."""
        gamma = self.weight(layer.gamma, slice(None), f"{name}.weight")
        beta = self.weight(layer.beta, slice(None), f"{name}.bias")
        return self.add(
            "LayerNormalization",
            x,
            gamma,
            beta,
            axis=-1,
            epsilon=layer.epsilon,
        )


def build(
    weights: ClassifierWeights,
    *,
    num_heads: int,
    is_per_token: bool,
    pooling: str,
    metadata: dict[str, str],
) -> onnx.ModelProto:
    """Returns a model from token ids to logits, as `classifier.classify`.

    Its inputs are INPUTS <int64>[batch, length], without the last where the
    model has no segments; its output is `logits` <float32>[batch, outputs], or
    [batch, length, outputs] of a head on each token.

    Args:
        weights: of the classifier, in any precision.
        metadata: what the file is to say, such as its classes.
    """
    graph = _Graph()
    encoder = weights.encoder
    inputs = INPUTS if encoder.segment_embeddings else INPUTS[:2]
    hidden = _embed(graph, encoder)
    mask = _mask(graph)
    for number, layer in enumerate(encoder.layers):
        hidden = _layer(
            graph, hidden, mask, layer, f"layer.{number}", num_heads
        )
    if not is_per_token:
        hidden = _pool(graph, hidden, encoder, pooling)
    logits = graph.dense(hidden, weights.logits, "classifier")
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    shape: list = ["batch", "length"]
    width = weights.logits.bias.shape[0]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bert_tf",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, shape)
                for name in inputs
            ],
            [
                helper.make_tensor_value_info(
                    "logits",
                    TensorProto.FLOAT,
                    [*(shape if is_per_token else shape[:1]), width],
                )
            ],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_FILE_VERSION,
        producer_name="bert_tf",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model


def _embed(graph: _Graph, weights: EncoderWeights) -> str:
    every = slice(None)
    tokens = graph.weight(weights.token_embeddings, every, "word_embeddings")
    hidden = graph.add("Gather", tokens, INPUTS[0])
    length = graph.add("Shape", INPUTS[0], start=1, end=2)
    positions = graph.weight(
        weights.position_embeddings, every, "position_embeddings"
    )
    zero = graph.numbers(0)
    used = graph.add("Slice", positions, zero, length, zero)
    for table in weights.segment_embeddings:
        segments = graph.weight(table, every, "token_type_embeddings")
        of_segment = graph.add("Gather", segments, INPUTS[2])
        hidden = graph.add("Add", hidden, of_segment)
    hidden = graph.add("Add", hidden, used)
    hidden = graph.norm(hidden, weights.embeddings_norm, "embeddings.norm")
    for projection in weights.embeddings_projection:
        hidden = graph.dense(hidden, projection, "embeddings.projection")
    return hidden


def _mask(graph: _Graph) -> str:
    """Returns what is added to the scores <float>[batch, 1, 1, length]."""
    mask = graph.add("Unsqueeze", INPUTS[1], graph.numbers(1))
    mask = graph.add("Unsqueeze", mask, graph.numbers(2))
    mask = graph.add("Cast", mask, to=TensorProto.FLOAT)
    mask = graph.add("Sub", graph.scalar(1.0), mask)
    return graph.add("Mul", mask, graph.scalar(float(_MASKED)))


def _layer(
    graph: _Graph, hidden: str, mask: str, layer, name: str, num_heads: int
) -> str:
    width = layer.attention_output.bias.shape[0]
    head_width = width // num_heads
    shape = graph.numbers(0, 0, num_heads, head_width)

    def heads(part: str, axes: Sequence[int]) -> str:
        dense, columns = _part(layer.projections, part, width)
        projected = graph.dense(hidden, dense, f"{name}.{part}", columns)
        projected = graph.add("Reshape", projected, shape)
        return graph.add("Transpose", projected, perm=axes)

    query = heads("query", (0, 2, 1, 3))
    key = heads("key", (0, 2, 3, 1))
    value = heads("value", (0, 2, 1, 3))
    scores = graph.add("MatMul", query, key)
    scores = graph.add("Div", scores, graph.scalar(head_width**0.5))
    scores = graph.add("Add", scores, mask)
    attention = graph.add("Softmax", scores, axis=-1)
    context = graph.add("MatMul", attention, value)
    context = graph.add("Transpose", context, perm=(0, 2, 1, 3))
    context = graph.add("Reshape", context, graph.numbers(0, 0, width))
    attended = graph.dense(
        context, layer.attention_output, f"{name}.attention_output"
    )
    attended = graph.add("Add", attended, hidden)
    attended = graph.norm(
        attended, layer.attention_norm, f"{name}.attention_norm"
    )
    inner = graph.dense(attended, layer.intermediate, f"{name}.intermediate")
    inner = graph.add("Gelu", inner, approximate="tanh")
    output = graph.dense(inner, layer.output, f"{name}.output")
    output = graph.add("Add", output, attended)
    return graph.norm(output, layer.output_norm, f"{name}.output_norm")


def _part(
    projections: tuple[Dense, ...], part: str, width: int
) -> tuple[Dense, slice]:
    """Returns where query, key or value is among joined products."""
    place = ("query", "key", "value").index(part)
    if len(projections) == 2:
        if part == "query":
            return projections[0], slice(None)
        place -= 1
    return projections[-1], slice(place * width, (place + 1) * width)


def _pool(
    graph: _Graph, hidden: str, weights: EncoderWeights, pooling: str
) -> str:
    """Returns a vector for each text <float>[batch, width]."""
    if pooling == classifier.CLS:
        first = graph.constant(np.array(0, np.int64), "first")
        pooled = graph.add("Gather", hidden, first, axis=1)
        return graph.add("Tanh", graph.dense(pooled, weights.pooler, "pooler"))
    mask = graph.add("Unsqueeze", INPUTS[1], graph.numbers(2))
    mask = graph.add("Cast", mask, to=TensorProto.FLOAT)
    axis = graph.numbers(1)
    total = graph.add(
        "ReduceSum", graph.add("Mul", hidden, mask), axis, keepdims=0
    )
    count = graph.add("ReduceSum", mask, axis, keepdims=0)
    return graph.add("Div", total, count)
