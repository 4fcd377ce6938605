"""A SavedModel's signatures in words."""

import os
from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from bert_tf import run_dir
from bert_tf.inference import model_files
from bert_tf.serving import signatures as signatures_lib
from bert_tf.tasks import known

# What every SavedModel has beside the signatures that a server answers.
_INTERNAL = "__saved_model_init_op"


def read_descriptions(path: str) -> dict[str, str]:
    """Returns what the signatures of an export are for; {} for others'."""
    if not os.path.exists(
        os.path.join(path, model_files.EXTRA, run_dir.LABELS)
    ):
        return {}
    info = model_files.read_info(path)
    return signatures_lib.descriptions(
        known.build_task(info.task, info.class_names, info.parameters)
    )


def describe(
    meta_graph: meta_graph_pb2.MetaGraphDef, descriptions: Mapping[str, str]
) -> str:
    """Returns Markdown: each signature, its inputs and its outputs.

    Args:
        meta_graph: the SavedModel's.
        descriptions: what its signatures are for, by name; or {}.
    """
    signatures = meta_graph.signature_def
    ours = descriptions if set(descriptions) <= set(signatures) else {}
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
