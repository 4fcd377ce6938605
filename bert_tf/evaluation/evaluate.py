"""Evaluates a run or a SavedModel on labelled files."""

import os
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.data import checking, examples, pipeline
from bert_tf.errors import InputError
from bert_tf.evaluation import metrics as metrics_lib
from bert_tf.models import inference
from bert_tf.models import trained as trained_lib
from bert_tf.serving.predictor import Predictor


def evaluate(
    model: str,
    eval_file: Sequence[str],
    *,
    batch_size: int = 64,
    **column_names: str | None,
) -> tuple[pd.DataFrame, np.ndarray, dict]:
    """Returns the examples, their probabilities and the metrics.

    Args:
        model: a run folder or an exported SavedModel.
        eval_file: paths and globs of labelled files.
        batch_size: texts a step.
        **column_names: as for `read_examples`.

    Raises:
        InputError: the model or the files are wrong, or a label is one that
            the model does not know.
    """
    part, columns = examples.read_examples(eval_file, **column_names)
    if os.path.exists(os.path.join(model, run_dir.CONFIG)):
        class_names, has_pairs, predict = _load_run(model, batch_size)
    else:
        predictor = Predictor(model)
        class_names, has_pairs = predictor.class_names, predictor.has_pairs

        def predict(segments):
            return predictor.probabilities(segments, batch_size=batch_size)

    checking.check_known_labels(part, class_names)
    segments = examples.segments(part)
    if has_pairs != (len(segments) == 2):
        raise InputError(
            f"{model} takes {'two texts' if has_pairs else 'one text'} an "
            f"example, but {columns.describe()}; see --text_column and "
            "--text_pair_column"
        )
    start = time.monotonic()
    probabilities = predict(segments)
    metrics = metrics_lib.classification_metrics(
        np.array(labels_lib.class_ids(part["label"], class_names)),
        probabilities,
        class_names,
        seconds=time.monotonic() - start,
    )
    return part, probabilities, {"schema_version": 1, **metrics}


def _load_run(path: str, batch_size: int) -> tuple:
    trained = trained_lib.load(path)
    predict_encoded = inference.ProbabilityPredictor(
        trained.model,
        strategy=tf.distribute.get_strategy(),
        batch_size=batch_size,
        pad_token_id=trained.preprocessor.tokenizer.pad_token_id,
    )

    def predict(segments):
        return predict_encoded(pipeline.encode(trained.preprocessor, segments))

    return trained.class_names, trained.has_pairs, predict
