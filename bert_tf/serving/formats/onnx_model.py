"""Writes a run as an ONNX model for ONNX Runtime, with its tokenizer.

Needs the packages onnx and onnxruntime (the extra `onnx`), and no PyTorch.
"""

import os
from collections.abc import Callable

import numpy as np
import onnx

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.inference import model_files
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.inference.onnx_predictor import OnnxPredictor
from bert_tf.models import classifier
from bert_tf.serving.formats import onnx_graph, transformers_tokenizer
from bert_tf.tasks import registry
from bert_tf.text import vocabulary as vocabulary_lib

MODEL, QUANTIZED = model_files.ONNX_MODEL, "model_int8.onnx"
TOKENIZER = transformers_tokenizer.COMPARED


def check(run: LoadedRun) -> None:
    """Every run can be written."""


def packages(run: LoadedRun) -> tuple[str, ...]:
    """Nothing is written without what `load` needs."""
    del run
    return ()


def usage(folder: str, run: LoadedRun) -> str:
    """Returns lines of Python that load the folder."""
    vocabulary, length = run.preprocessor.vocabulary, run.config.max_seq_length
    names = list(onnx_graph.INPUTS[: 2 + _has_segments(run)])
    texts, pairs = '"a text", "another"', '["a text", "another"]'
    if run.has_pairs:
        texts, pairs = f"({texts})", '["a text"], ["another"]'
    session = f"""session = onnxruntime.InferenceSession("{folder}/{MODEL}")
logits = session.run(None, inputs)[0]"""
    if vocabulary.kind == vocabulary_lib.SENTENCE_PIECE:
        return f"""import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
encoded = tokenizer(
    {pairs}, padding=True, truncation=True, return_tensors="np"
)
inputs = {{name: encoded[name] for name in {names}}}
{session}"""
    padding = (vocabulary.special_ids.padding, vocabulary.special.padding)
    segments = ""
    if _has_segments(run):
        segments = f"""
    "{names[2]}": np.array([one.type_ids for one in encoded]),"""
    return f"""import numpy as np
import onnxruntime
import tokenizers

tokenizer = tokenizers.Tokenizer.from_file("{folder}/tokenizer.json")
tokenizer.encode_special_tokens = True  # Those typed in a text are plain text.
tokenizer.enable_truncation({length})
tokenizer.enable_padding(pad_id={padding[0]}, pad_token="{padding[1]}")
encoded = tokenizer.encode_batch([{texts}])
inputs = {{
    "{names[0]}": np.array([one.ids for one in encoded]),
    "{names[1]}": np.array([one.attention_mask for one in encoded]),{segments}
}}
{session}"""


def write(folder: str, run: LoadedRun) -> None:
    """Writes everything but README.md into an empty folder."""
    vocabulary = run.preprocessor.vocabulary
    model = onnx_graph.build(
        classifier.classifier_weights(run.model),
        num_heads=classifier.backbone_of(run.model).num_heads,
        is_per_token=run.task.is_per_token,
        pooling=classifier.pooling_of(run.model),
        # What `OnnxPredictor` asks for, beside the files below.
        metadata={
            "max_seq_length": str(run.config.max_seq_length),
            "long_text": run.config.long_text,
            "has_pairs": str(run.has_pairs),
        },
    )
    onnx.save(model, os.path.join(folder, MODEL))
    transformers_tokenizer.write(
        folder, vocabulary, max_length=run.config.max_seq_length
    )
    extra = os.path.join(folder, model_files.EXTRA)
    os.makedirs(extra)
    labels_lib.write_labels(
        os.path.join(extra, run_dir.LABELS), run.task.class_names
    )
    registry.write_task(extra, run.task, name_it=True)
    vocabulary_lib.write_vocabulary(extra, vocabulary)


def load(
    folder: str, run: LoadedRun, *, file: str = MODEL
) -> Callable[[dict], np.ndarray]:
    """Returns a function from features to logits, of ONNX Runtime.

    Features and logits are those of `classifier.classify`, as arrays.

    Args:
        file: which of the folder's models.
    """
    predictor = OnnxPredictor(os.path.join(folder, file))
    return lambda features: predictor.logits(
        {
            "input_word_ids": features["token_ids"],
            "input_mask": features["padding_mask"],
            "input_type_ids": features["segment_ids"],
        }
    )


def _has_segments(run: LoadedRun) -> bool:
    backbone = classifier.backbone_of(run.model)
    return hasattr(backbone, "segment_embedding")
