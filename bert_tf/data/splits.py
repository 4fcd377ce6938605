"""Reads and validates the training, validation and test splits.

Free of TensorFlow, so that file errors are reported before it is loaded.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bert_tf import files
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples, label_issues, label_types, tfrecords
from bert_tf.data.columns import Columns
from bert_tf.data.examples import text_keys
from bert_tf.data.label_types import LabelType
from bert_tf.data.readers import registry
from bert_tf.data.readers.frames import FrameSource
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.errors import InputError

# A text that more of the pairs share, or one of fewer different ones, is a
# phrase that they are put into, not what leaks.
_LARGEST_GROUP = 0.5
_FEWEST_GROUPS = 10
# Of the texts, where one a class would be more: training needs them.
_LARGEST_SPLIT = 0.2
# What a byte of a file takes in memory at least: its texts and their tokens.
# Of a million short texts it was 7.
_MEMORY_PER_BYTE = 2


@dataclasses.dataclass(frozen=True)
class Splits:
    """The examples of one training.

    Attributes:
        frames: `train`, `validation` and, where there are test files, `test`,
            with the columns of `examples.FRAME_COLUMNS`.
        class_names: of the training split, see `LabelType`.
        columns: the names of the columns they were read from, by flag.
        records: the training split where it is tokenized already; its frame
            has `label` and `path` only.
        num_dropped: training rows left out by --drop_label_issues.
    """

    frames: dict[str, pd.DataFrame]
    class_names: tuple[str, ...]
    columns: dict[str, str | None]
    records: TokenizedRecords | None = None
    num_dropped: int = 0


class Files(NamedTuple):
    """What the files of a training hold.

    Attributes:
        frames: `train` and, where there are files, `validation` and `test`,
            with the columns of `examples.FRAME_COLUMNS`.
        columns: the names of the columns they were read from, by flag.
        label_type: of their labels.
        records: the training split where it is tokenized already.
    """

    frames: dict[str, pd.DataFrame]
    columns: dict[str, str | None]
    label_type: LabelType
    records: TokenizedRecords | None


def read_splits(
    config: TrainConfig, given: Mapping[str, FrameSource] = {}
) -> Splits:
    """Reads the files of a training and checks their labels.

    Args:
        given: frames by the flag whose files they take the place of, such as
            `train_file`.

    Raises:
        InputError: a file or a label is wrong, or nothing would be left on
            one side of a split.
    """
    return build_splits(config, read_files(config, given))


def read_files(
    config: TrainConfig, given: Mapping[str, FrameSource] = {}
) -> Files:
    """Reads the files of a training; see `read_splits`."""
    options = config.read_options()
    label_type = label_types.of_task(config.task, separator=config.separator)

    def read(flag):
        nonlocal options
        frame, chosen = examples.read_examples(
            given.get(flag, getattr(config, flag)),
            options,
            label_type=label_type,
            drop_incomplete=config.drop_incomplete,
        )
        # The other files have the columns of the first, but for ids.
        columns = {**chosen.flags(), "id_column": config.id_column}
        options = dataclasses.replace(options, **columns)
        return frame, chosen

    records = None
    if any(map(tfrecords.is_records, config.train_file)):
        train, records = _read_records(config)
    else:
        if "train_file" not in given:
            _check_memory(config.train_file)
        train, _ = read("train_file")
    frames = {}
    if config.validation_file:
        frames["validation"], chosen = read("validation_file")
        if records is not None:
            _check_pairs(records, chosen)
    if config.test_file:
        frames["test"], _ = read("test_file")
    frames = {"train": train, **frames}
    if records is None:
        frames = unify_labels(
            frames, label_type, merge_case=config.merge_label_case
        )
    if config.long_text != "truncate" and options.text_pair_column:
        raise InputError(
            f"--long_text={config.long_text} is for single texts, and these "
            "are pairs"
        )
    return Files(frames, options.columns(), label_type, records)


def _check_memory(patterns: Sequence[str]) -> None:
    """Raises InputError where files are larger than what may be trained on."""
    size = sum(map(files.size, registry.expand_paths(patterns)))
    free = free_memory()
    if free is not None and size * _MEMORY_PER_BYTE > free:
        given = ",".join(patterns)
        raise InputError(
            f"--train_file={given}: {size / 1e9:,.1f} GB take "
            f"{_MEMORY_PER_BYTE * size / 1e9:,.1f} GB of memory or more, and "
            f"{free / 1e9:,.1f} are free. Records are read from the disk: "
            f"pipelines.create_tfrecords --input_file={shlex.quote(given)} "
            "--output_dir=records, then --train_file=records"
        )


def free_memory() -> int | None:
    """Returns the bytes that processes may still take; None if unknown."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            amounts = dict(line.split(":") for line in file)
        return int(amounts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return None


def build_splits(
    config: TrainConfig,
    files: Files,
    class_names: tuple[str, ...] | None = None,
) -> Splits:
    """Splits validation rows off where there is no file of them.

    Args:
        class_names: by default those of the training split.

    Raises:
        InputError: see `read_splits`.
    """
    label_type = files.label_type
    frames = dict(files.frames)
    train = frames.pop("train")
    if "validation" not in frames:
        train, validation = split(
            train,
            fraction=config.validation_split,
            seed=config.seed,
            strata=label_type.strata(train["label"]),
            keys=split_keys(train, label_type),
        )
        frames = {"validation": validation, **frames}
    rows = len(train)
    if config.label_issues_file:
        train = label_issues.drop(
            train, config.label_issues_file, config.drop_label_issues
        )
    num_dropped = rows - len(train)
    limits = {"train": config.max_train_samples}
    frames = {
        name: examples.sample(
            frame,
            limits.get(name, config.max_eval_samples),
            seed=config.seed,
        )
        for name, frame in {"train": train, **frames}.items()
    }
    class_names = class_names or label_type.class_names(frames["train"])
    for frame in frames.values():
        label_type.check(frame, class_names)
    return Splits(
        frames, class_names, files.columns, files.records, num_dropped
    )


def split_keys(train: pd.DataFrame, label_type: LabelType) -> pd.Series:
    """Returns what rows share that are to be on one side of a split.

    Of pairs that is the text that many of them share.
    """
    keys = examples.group_keys(train, label_type.group_field)
    counts = keys.value_counts()
    if len(counts) < _FEWEST_GROUPS or counts.iloc[0] > _LARGEST_GROUP * len(
        train
    ):
        return text_keys(train)
    return keys


def unify_labels(
    frames: dict[str, pd.DataFrame],
    label_type: LabelType,
    *,
    merge_case: bool,
) -> dict[str, pd.DataFrame]:
    """Returns the splits with one name for each class, see `LabelType`.

    Raises:
        InputError: labels differ by case alone.
    """
    names = label_type.unified(
        [frame["label"] for frame in frames.values()], merge_case=merge_case
    )
    return {
        split: frame.assign(label=frame["label"].replace(names))
        for split, frame in frames.items()
    }


def split(
    examples: pd.DataFrame,
    *,
    fraction: float,
    seed: int,
    strata: pd.Series | None = None,
    keys: pd.Series | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits off about `fraction` of every class, as (rest, split off).

    At least a text of every class, unless that were more than a fifth of all.

    Rows of equal text (case and white space ignored) fall on one side as a
    whole, by the label of the first of them. The split does not depend on row
    order; each side keeps it. scikit-learn's own grouped and stratified
    splitters take only fractions 1/n and fail on classes of one text.

    Args:
        fraction: share that is split off.
        strata: the class of each row, where it is not the label.
        keys: what rows share that are to be on one side; by default the text.

    Raises:
        InputError: nothing would be left on one side.
    """
    if keys is None:
        keys = text_keys(examples)
    labels = examples["label"] if strata is None else strata
    label_of_key = labels.groupby(keys).min()
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    for _, group in sorted(label_of_key.groupby(label_of_key)):
        names = np.array(sorted(group.index), dtype=object)
        count = int(np.floor(len(names) * fraction + 0.5))
        if len(names) > 1:
            count = min(max(count, 1), len(names) - 1)
        chosen.update(generator.permutation(names)[:count])
    most = int(len(label_of_key) * max(fraction, _LARGEST_SPLIT)) or 1
    if len(chosen) > most:
        chosen = set(generator.permutation(sorted(chosen))[:most])
    mask = keys.isin(chosen)
    if not mask.any() or mask.all():
        raise InputError(
            f"{len(examples)} rows with {len(label_of_key)} different texts "
            "are too few to split off a validation split; give one with "
            "--validation_file"
        )
    return examples[~mask], examples[mask]


def _check_pairs(records: TokenizedRecords, columns: Columns) -> None:
    if records.has_pairs != (columns.text_pair is not None):
        raise InputError(
            f"{records.path} holds {'pairs' if records.has_pairs else 'texts'}"
            f", but in the validation file {columns.describe()}"
        )


def _read_records(config: TrainConfig) -> tuple[pd.DataFrame, TokenizedRecords]:
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
    records = tfrecords.open_records(path, max_seq_length=config.max_seq_length)
    labels = pd.Categorical.from_codes(records.labels, records.class_names)
    frame = pd.DataFrame({"label": labels})
    frame["path"] = pd.Categorical.from_codes(
        np.zeros(len(frame), np.int8), [path]
    )
    return frame, records
