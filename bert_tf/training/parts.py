"""The training, validation and test examples of one training."""

import dataclasses

import numpy as np
import pandas as pd

from bert_tf.config import TrainConfig
from bert_tf.data import examples, splitting, tfrecords
from bert_tf.data.columns import Columns
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.errors import InputError
from bert_tf.tasks import known
from bert_tf.text.vocabulary import Vocabulary


def read_parts(
    config: TrainConfig, vocabulary: Vocabulary
) -> tuple[dict[str, pd.DataFrame], TokenizedRecords | None, TrainConfig]:
    """Reads all parts; the training part may be tokenized records."""
    names = {
        flag: getattr(config, flag)
        for flag in (
            "text_column", "text_pair_column", "label_column", "id_column"
        )
    }  # fmt: skip
    task = known.task_class(config.task)
    names["labels_may_be_empty"] = task.labels_may_be_empty
    records = None
    if any(tfrecords.is_records(path) for path in config.train_file):
        train_part, records = _read_records(config, vocabulary)
    else:
        train_part, columns = examples.read_examples(config.train_file, **names)
        names.update(columns.names())
    parts = {}
    if config.validation_file:
        parts["validation"], columns = examples.read_examples(
            config.validation_file, **names
        )
        if records is not None:
            _check_pairs(records, columns)
        names.update(columns.names())
    if config.test_file:
        parts["test"], _ = examples.read_examples(config.test_file, **names)
    if "validation" not in parts:
        train_part, validation = splitting.split(
            train_part,
            fraction=config.validation_split,
            seed=config.seed,
            strata=task.strata(train_part["label"]),
        )
        parts = {"validation": validation, **parts}
    parts = {"train": train_part, **parts}
    limits = {"train": config.max_train_samples}
    parts = {
        name: examples.sample(
            part,
            limits.get(name, config.max_eval_samples),
            seed=config.seed,
        )
        for name, part in parts.items()
    }
    del names["labels_may_be_empty"]
    if config.long_text != "truncate" and names["text_pair_column"]:
        raise InputError(
            f"--long_text={config.long_text} is for single texts, and these "
            "are pairs"
        )
    return parts, records, dataclasses.replace(config, **names)


def _check_pairs(records: TokenizedRecords, columns: Columns) -> None:
    if records.has_pairs != (columns.text_pair is not None):
        raise InputError(
            f"{records.path} holds {'pairs' if records.has_pairs else 'texts'}"
            f", but in the validation file {columns.describe()}"
        )


def _read_records(
    config: TrainConfig, vocabulary: Vocabulary
) -> tuple[pd.DataFrame, TokenizedRecords]:
    """Opens tokenized training examples; their frame has labels only."""
    if len(config.train_file) > 1:
        raise InputError(
            "--train_file takes one folder of pipelines.create_tfrecords, and "
            "nothing beside it"
        )
    if not config.validation_file:
        raise InputError(
            "tokenized records have no texts to report, so they serve for "
            "training only: give the validation texts with --validation_file"
        )
    if config.task != "classification":
        raise InputError(
            "tokenized records hold one class a text: they serve for "
            "--task=classification only"
        )
    if config.long_text != "truncate":
        raise InputError(
            "tokenized records are truncated already; --long_text does not go "
            "with them"
        )
    if config.max_train_samples is not None:
        raise InputError(
            "--max_train_samples does not go with tokenized records; make "
            "smaller ones"
        )
    path = config.train_file[0]
    records = tfrecords.open_records(
        path, vocabulary, max_seq_length=config.max_seq_length
    )
    labels = pd.Categorical.from_codes(records.labels, records.class_names)
    frame = pd.DataFrame({"label": labels})
    frame["path"] = pd.Categorical.from_codes(
        np.zeros(len(frame), np.int8), [path]
    )
    return frame, records
