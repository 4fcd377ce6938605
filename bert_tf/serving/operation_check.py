"""Checks that TensorFlow Serving supports a SavedModel's operations."""

import os

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from bert_tf.errors import InputError
from bert_tf.inference.model_files import SAVED_MODEL
from bert_tf.serving import bundle

_PYTHON_OPERATIONS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


def read_meta_graph(path: str) -> meta_graph_pb2.MetaGraphDef:
    """Reads the graph that TensorFlow Serving loads: the one tagged `serve`.

    Raises:
        InputError: there is no such graph.
    """
    file_path = os.path.join(path, SAVED_MODEL)
    if not os.path.exists(file_path):
        raise InputError(f"{path} is no SavedModel: it has no saved_model.pb")
    saved_model = saved_model_pb2.SavedModel()
    with open(file_path, "rb") as file:
        try:
            saved_model.ParseFromString(file.read())
        except DecodeError:
            raise InputError(f"{file_path} is damaged") from None
    for meta_graph in saved_model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            return meta_graph
    raise InputError(f'{path} has no graph with the tag "serve"')


def operations(meta_graph: meta_graph_pb2.MetaGraphDef) -> set[str]:
    """Returns the operation types of a graph and its function library."""
    graph = meta_graph.graph_def
    functions = {f.signature.name for f in graph.library.function}
    operations = {node.op for node in graph.node}
    for function in graph.library.function:
        operations.update(node.op for node in function.node_def)
    return operations - functions


def foreign_operations(names: set[str]) -> list[str]:
    """Returns the operations that core TensorFlow does not have, sorted."""
    return sorted(
        name
        for name in names
        # Names with an underscore are TensorFlow's internal ones.
        if not name.startswith("_") and not hasattr(tf.raw_ops, name)
    )


def problems(
    meta_graph: meta_graph_pb2.MetaGraphDef, serving_version: str
) -> list[str]:
    """Returns what would keep a server from running a graph as intended.

    Args:
        meta_graph: the graph, of any origin.
        serving_version: one of `serving_versions`, such as 2.19.

    Returns:
        A sentence for each problem; nothing for a graph that is fine.
    """
    table = bundle.linked_operations()
    names = operations(meta_graph)
    text_version = table["text_of_serving"][serving_version]
    linked = table["text_operations"][text_version]
    text_operations = {
        name for known in table["text_operations"].values() for name in known
    }
    messages = []
    for name in foreign_operations(names):
        if name in linked:
            continue
        if name in text_operations:
            since = next(
                serving
                for serving, text in table["text_of_serving"].items()
                if name in table["text_operations"][text]
            )
            messages.append(
                f"{name}: TensorFlow Serving {serving_version} links "
                f"TensorFlow Text {text_version}, which lacks it; the first "
                f"that has it is TensorFlow Serving {since}"
            )
        else:
            messages.append(
                f"{name}: neither in core TensorFlow nor among TensorFlow "
                "Text's operations; a standard server does not know it"
            )
    for name in sorted(names):
        if name in _PYTHON_OPERATIONS:
            messages.append(f"{name}: a server has no Python to call")
        elif "Random" in name:
            messages.append(f"{name}: answers may be random")
    if _is_compiled(meta_graph):
        messages.append(
            "a function must be compiled by XLA, which TensorFlow Serving "
            "does not do unless started with an experimental flag"
        )
    return messages


def check(path: str, serving_version: str) -> None:
    """Raises InputError for a SavedModel that a server cannot run."""
    messages = problems(read_meta_graph(path), serving_version)
    if messages:
        raise InputError(
            f"TensorFlow Serving {serving_version} cannot run {path}:\n  "
            + "\n  ".join(messages)
        )


def check_bundle(folder: str, path: str) -> None:
    """Raises InputError where a file starts a server that cannot run a model.

    Args:
        folder: of the bundle; there may be none yet.
        path: the SavedModel.
    """
    if not os.path.isdir(folder):
        return
    known = bundle.serving_versions()
    for file_name, version in bundle.server_versions(folder):
        file_path = os.path.join(folder, file_name)
        if _as_numbers(version) < _as_numbers(known[0]):
            raise InputError(
                f"{file_path} starts TensorFlow Serving {version}, which is "
                f"older than {known[0]}, the oldest that is known to run such "
                f"models; name {known[0]} or a newer one there"
            )
        if version in known:
            try:
                check(path, version)
            except InputError as error:
                raise InputError(f"{file_path}: {error}") from None


def _as_numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _is_compiled(meta_graph: meta_graph_pb2.MetaGraphDef) -> bool:
    return any(
        function.attr["_XlaMustCompile"].b
        for function in meta_graph.graph_def.library.function
    )
