"""Writes a run of a BERT as a KerasHub preset.

KerasHub's one head is on [CLS]: a BertTextClassifier. The head on the mean over
the tokens, or on each token, is written beside the backbone, in head.npz.
"""

import os
from collections.abc import Callable

import keras
import keras_nlp
import numpy as np

from bert_tf.errors import InputError
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import backbones, classifier
from bert_tf.presets import presets

HEAD = "head.npz"
TOKENIZER = (
    "Its tokenizer differs from the SavedModel's in words over 100 bytes, "
    "which it takes for unknown, in control characters and in rare letters."
)


def check(run: LoadedRun) -> None:
    """Raises InputError where KerasHub computes something else."""
    built = type(classifier.backbone_of(run.model)).__name__
    if built != backbones.BERT:
        raise InputError(
            f"--format=keras_hub: this run has a {built}, whose layers or "
            "tokenizer KerasHub computes otherwise; export "
            "--format=transformers"
        )


def packages(run: LoadedRun) -> tuple[str, ...]:
    """Returns what `load` needs beside this project's own packages."""
    del run
    return ()


def usage(folder: str, run: LoadedRun) -> str:
    """Returns lines of Python that load the folder."""
    if _has_classifier(run):
        return f"""import keras_hub

model = keras_hub.models.BertTextClassifier.from_preset("{folder}")
model.predict(["a text"])  # logits"""
    pooled = 'backbone.output["sequence_output"]'
    if not run.task.is_per_token:
        pooled = f"""keras.layers.GlobalAveragePooling1D()(
    {pooled}, mask=backbone.input["padding_mask"]
)"""
    return f"""import keras
import keras_hub
import numpy as np

backbone = keras_hub.models.BertBackbone.from_preset("{folder}")
tokenizer = keras_hub.models.BertTokenizer.from_preset("{folder}")
head = np.load("{folder}/{HEAD}")
pooled = {pooled}
dense = keras.layers.Dense(len(head["bias"]))
model = keras.Model(backbone.input, dense(pooled))
dense.set_weights([head["kernel"], head["bias"]])"""


def write(folder: str, run: LoadedRun) -> None:
    """Writes everything but README.md into an empty folder."""
    backbone = classifier.backbone_of(run.model)
    vocabulary = run.preprocessor.vocabulary
    logits, model = run.model.get_layer("logits"), backbone
    if _has_classifier(run):
        tokenizer = keras_nlp.models.BertTokenizer(
            list(vocabulary.tokens),
            lowercase=vocabulary.lowercase,
            strip_accents=vocabulary.strip_accents,
        )
        model = keras_nlp.models.BertTextClassifier(
            backbone,
            num_classes=run.task.num_outputs,
            preprocessor=keras_nlp.models.BertTextClassifierPreprocessor(
                tokenizer, sequence_length=run.config.max_seq_length
            ),
            dropout=run.config.dropout,
        )
        model.output_dense.set_weights([logits.kernel, logits.bias])
    else:
        np.savez(
            os.path.join(folder, HEAD),
            kernel=np.asarray(logits.kernel),
            bias=np.asarray(logits.bias),
        )
    presets.save_preset(
        folder, model, vocabulary, has_pooler=_has_classifier(run)
    )


def load(folder: str, run: LoadedRun) -> Callable[[dict], np.ndarray]:
    """Returns a function from features to logits, of KerasHub's own model.

    Features and logits are those of `classifier.classify`, as arrays.
    """
    if _has_classifier(run):
        model = keras_nlp.models.BertTextClassifier.from_preset(folder)
    else:
        backbone = keras_nlp.models.BertBackbone.from_preset(folder)
        pooled = backbone.output["sequence_output"]
        if not run.task.is_per_token:
            mean = keras.layers.GlobalAveragePooling1D()
            pooled = mean(pooled, mask=backbone.input["padding_mask"])
        head = np.load(os.path.join(folder, HEAD))
        dense = keras.layers.Dense(len(head["bias"]))
        model = keras.Model(backbone.input, dense(pooled))
        dense.set_weights([head["kernel"], head["bias"]])
    return lambda features: keras.ops.convert_to_numpy(model(dict(features)))


def _has_classifier(run: LoadedRun) -> bool:
    is_cls = classifier.pooling_of(run.model) == classifier.CLS
    return is_cls and not run.task.is_per_token
