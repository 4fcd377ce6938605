"""A SavedModel's signatures in words."""

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from bert_tf.serving.signatures import DESCRIPTIONS

# What every SavedModel has beside the signatures that a server answers.
_INTERNAL = "__saved_model_init_op"


def describe(meta_graph: meta_graph_pb2.MetaGraphDef) -> str:
    """Returns Markdown: each signature, its inputs and its outputs."""
    signatures = meta_graph.signature_def
    # Models of other origin have signatures of the same names, not all five.
    ours = DESCRIPTIONS if set(DESCRIPTIONS) <= set(signatures) else {}
    others = sorted(set(signatures) - set(ours) - {_INTERNAL})
    blocks = []
    for name in (*ours, *others):
        signature = signatures[name]
        lines = [f"Signature `{name}`", ""]
        if name in ours:
            lines += [ours[name], ""]
        for way, tensors in (
            ("in", signature.inputs),
            ("out", signature.outputs),
        ):
            lines += [
                f"- {way}: `{key}: {_type(tensors[key])}`"
                for key in sorted(tensors)
            ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _type(info: meta_graph_pb2.TensorInfo) -> str:
    name = tf.dtypes.as_dtype(info.dtype).name
    if info.tensor_shape.unknown_rank:
        return f"{name} of any shape"
    sizes = [
        "None" if dim.size < 0 else str(dim.size)
        for dim in info.tensor_shape.dim
    ]
    return f"{name} [{', '.join(sizes)}]"
