"""The signatures of an exported model."""

import os
from collections.abc import Callable, Mapping

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from bert_tf import run_dir
from bert_tf.inference import model_files
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.inference.model_files import TOKEN_INPUTS, text_inputs
from bert_tf.models import classifier
from bert_tf.tasks import head, pooling, registry
from bert_tf.tasks.base import Task

# Of the signatures that every task has.
_TOKENS = (
    "As serving_default, for texts that were tokenized elsewhere: rows start "
    "with [CLS], end with [SEP], or what the model has for them, and are "
    "padded to one length."
)
_TOKENIZE = "The inputs of `tokens` for each text."
_OFFSETS = (
    " And the place of each token: its first character, the one after its "
    "last, and 1 where a word starts."
)
_EXAMPLE_INDEX = (
    " Of each row, `example_index` names the text it is a window of, from 0."
)
_EMBED = (
    "What the last layer sees of each text: BERT's pooled output, fine-tuned."
)


def descriptions(task: Task) -> dict[str, str]:
    """Returns what each signature is for, in the order to read of them."""
    texts = {name: text for name, (text, _) in task.signatures().items()}
    texts["tokens"] = _TOKENS
    texts["tokenize"] = _TOKENIZE + (_OFFSETS if task.with_offsets else "")
    if task.stride is not None:
        texts["tokenize"] += _EXAMPLE_INDEX
    if not task.is_per_token:
        texts["embed"] = _EMBED
    return texts


class ServingModule(tf.Module):
    """Holds a trained model's weights, each once, and its signatures.

    `functions` are the concrete functions by signature name.

    `tf.saved_model.save` writes what hangs on this object. The Keras model
    does not: it would store every weight a second time. The weights are
    joined and cast here, so that no request does it again.
    """

    def __init__(self, trained: LoadedRun):
        super().__init__()
        weights = classifier.classifier_weights(trained.model)
        # Layers may share theirs.
        held = {
            id(weight): tf.Variable(weight, trainable=False)
            for weight in tf.nest.flatten(weights)
        }
        weights = tf.nest.map_structure(
            lambda weight: held[id(weight)], weights
        )
        self.weights = list(held.values())
        self.tokenizer_resource = trained.preprocessor.resource
        inputs = text_inputs(
            has_pairs=trained.has_pairs,
            has_windows=trained.task.stride is not None,
        )
        text_spec = [
            tf.TensorSpec([None], tf.string, name=name) for name in inputs
        ]
        token_spec = [
            tf.TensorSpec([None, None], tf.int32, name=name)
            for name in TOKEN_INPUTS
        ]
        # No `tf.function` hangs on this object: saving would trace it again.
        self.functions = {
            name: tf.function(
                body,
                input_signature=token_spec if name == "tokens" else text_spec,
            ).get_concrete_function()
            for name, body in _build_bodies(trained, weights).items()
        }


def _build_bodies(
    trained: LoadedRun, weights: classifier.ClassifierWeights
) -> dict:
    """Returns a Python function for each signature."""
    task = trained.task

    # Functions of their own, so that the graph holds one vocabulary and one
    # model, not one for each signature.
    preprocess = tf.function(
        lambda *texts: _preprocess(trained, texts), autograph=False
    )
    run = tf.function(
        lambda features: head.forward(
            task,
            trained.model,
            features,
            weights=tf.nest.map_structure(tf.convert_to_tensor, weights),
        ),
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32)
                for name in ("token_ids", "padding_mask", "segment_ids")
            }
        ],
        autograph=False,
    )

    def outputs(features):
        offsets = {}
        if task.with_offsets:
            offsets = {"offsets": features["offsets"]}
        features = {
            name: value for name, value in features.items() if name != "offsets"
        }
        return {**run(features), **offsets}

    if task.with_offsets and task.stride is not None:
        in_windows, specs = task.in_windows, task.window_specs
    else:
        backbone = classifier.backbone_of(trained.model)
        widths = {
            task.prediction_key: task.num_outputs,
            "embedding": backbone.hidden_dim,
        }
        specs = {
            name: tf.TensorSpec([None, width], tf.float32)
            for name, width in widths.items()
        }

        def in_windows(outputs):
            return {name: outputs[name] for name in specs}

    def answering(answer):
        def body(*texts):
            features = preprocess(*texts)
            text = {"text": texts[-1]} if task.with_offsets else {}
            if task.stride is None:
                return answer({**outputs(features), **text})
            example_index = features.pop("example_index")
            kept = run_in_pieces(
                lambda piece: in_windows(outputs(piece)), features, specs
            )
            if task.with_offsets:
                return answer({**kept, **text, "example_index": example_index})
            return answer(pooling.pool(task, kept, example_index))

        return body

    def tokens(input_word_ids, input_mask, input_type_ids):
        outputs = run(
            {
                "token_ids": input_word_ids,
                "padding_mask": input_mask,
                "segment_ids": input_type_ids,
            }
        )
        return {name: outputs[name] for name in ("logits", task.prediction_key)}

    def tokenize(*texts):
        features = preprocess(*texts)
        more = {
            name: features[name]
            for name in ("offsets", "example_index")
            if name in features
        }
        return {
            "input_word_ids": features["token_ids"],
            "input_mask": features["padding_mask"],
            "input_type_ids": features["segment_ids"],
            **more,
        }

    bodies = {
        name: answering(answer)
        for name, (_, answer) in task.signatures().items()
    }
    bodies.update(tokens=tokens, tokenize=tokenize)
    if not task.is_per_token:
        bodies["embed"] = answering(
            lambda outputs: {"embedding": outputs["embedding"]}
        )
    return bodies


def _preprocess(trained: LoadedRun, texts: tuple[tf.Tensor, ...]) -> dict:
    """Returns the features, and the offsets of the tokens where asked for."""
    preprocessor = trained.preprocessor
    if trained.task.stride is not None:
        return preprocessor.pack_windows(texts, trained.task.stride)
    if not trained.task.with_offsets:
        return preprocessor(texts)
    placed = [preprocessor.tokenize_with_offsets(text) for text in texts]
    return {
        **preprocessor.pack(tuple(part.ids for part in placed)),
        "offsets": preprocessor.pack_offsets(
            tuple(part.offsets for part in placed)
        ),
    }


# What every SavedModel has beside the signatures that a server answers.
_INTERNAL = "__saved_model_init_op"


def read_descriptions(path: str) -> dict[str, str]:
    """Returns what the signatures of an export are for; {} for others'."""
    if not os.path.exists(
        os.path.join(path, model_files.EXTRA, run_dir.LABELS)
    ):
        return {}
    info = model_files.read_info(path)
    return descriptions(
        registry.build_task(info.task, info.class_names, info.parameters)
    )


def describe_model(path: str) -> str:
    """Returns Markdown: an export's classes and longest text; "" for others'.

    Args:
        path: a version's folder.
    """
    extra = os.path.join(path, model_files.EXTRA)
    if not os.path.exists(os.path.join(extra, run_dir.LABELS)):
        return ""
    info = model_files.read_info(path)
    lines = []
    if info.class_names:
        lines.append(f"- Classes: {', '.join(info.class_names)}")
    metrics = os.path.join(extra, run_dir.METRICS)
    if os.path.exists(metrics):
        truncation = run_dir.read_json(metrics).get("truncation", {})
        if "max_seq_length" in truncation:
            length = truncation["max_seq_length"]
            longer = f"Texts are cut at {length} tokens"
            if "stride" in info.parameters:
                longer = f"Longer texts are read in windows of {length} tokens"
            lines.append(f"- {longer}, [CLS] and [SEP] included")
    return "\n".join(lines)


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


_WINDOWS_AT_A_TIME = 32


def run_in_pieces(
    function: Callable[[dict], dict],
    features: Mapping[str, tf.Tensor],
    specs: Mapping[str, tf.TensorSpec],
) -> dict[str, tf.Tensor]:
    """Applies a function of batches of any size to pieces of a batch.

    Args:
        function: from tensors [rows, ...] to others.
        features: tensors [all rows, ...].
        specs: of these, without the number of rows.

    Returns:
        What the function returns, of all rows.
    """
    rows = tf.shape(features["token_ids"])[0]
    pieces = (rows + _WINDOWS_AT_A_TIME - 1) // _WINDOWS_AT_A_TIME

    def piece_of(number):
        start = number * _WINDOWS_AT_A_TIME
        piece = {
            name: value[start : start + _WINDOWS_AT_A_TIME]
            for name, value in features.items()
        }
        return function(piece)

    arrays = {
        name: tf.TensorArray(
            spec.dtype, pieces, infer_shape=False, element_shape=spec.shape
        )
        for name, spec in specs.items()
    }

    def step(number, arrays):
        piece = piece_of(number)
        return number + 1, {
            name: array.write(number, piece[name])
            for name, array in arrays.items()
        }

    _, arrays = tf.while_loop(
        lambda number, _: number < pieces,
        step,
        (0, arrays),
        # One after the other, for the memory.
        parallel_iterations=1,
    )
    return {name: array.concat() for name, array in arrays.items()}
