"""Splits labelled rows into folds, each of which is held out once."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from bert_tf.config.training import TrainConfig
from bert_tf.data import examples, splits
from bert_tf.data.readers.frames import FrameSource
from bert_tf.data.splits import Splits
from bert_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Folds:
    """A training for each fold of the rows.

    Attributes:
        rows: all labelled rows, with the columns of `examples.FRAME_COLUMNS`.
        fold_of_row: from 0 <int>[rows].
        splits: of each fold; the rows that are held out are its test split.
        all_rows: gives those of a training on all of them.
        test: the rows of --test_file, if there is one.
    """

    rows: pd.DataFrame
    fold_of_row: np.ndarray
    splits: list[Splits]
    all_rows: Callable[[], Splits]
    test: pd.DataFrame | None


def read_folds(
    config: TrainConfig,
    num_folds: int,
    given: Mapping[str, FrameSource] = {},
) -> Folds:
    """Reads the files of a training and splits its rows into folds.

    Args:
        given: see `read_splits`.

    Raises:
        InputError: see `read_splits`; or there are too few texts.
    """
    if config.max_eval_samples is not None:
        raise InputError(
            "--max_eval_samples does not go with --num_folds, which predicts "
            "every row; --max_train_samples takes fewer of all"
        )
    files = splits.read_files(config, given)
    if files.records is not None:
        raise InputError(
            "--num_folds needs texts, and tokenized records have none"
        )
    rows = examples.sample(
        files.frames["train"], config.max_train_samples, seed=config.seed
    )
    fold_of_row = split_rows(
        strata=files.label_type.strata(rows["label"]),
        keys=splits.split_keys(rows, files.label_type),
        num_folds=num_folds,
        seed=config.seed,
    )
    class_names = files.label_type.class_names(rows)
    frames = dict(files.frames)
    test = frames.pop("test", None)
    if test is not None:
        files.label_type.check(test, class_names)
    config = dataclasses.replace(config, max_train_samples=None)

    def build(**changes):
        parts = files._replace(frames={**frames, **changes})
        return splits.build_splits(config, parts, class_names)

    of_folds = [
        build(train=rows[fold_of_row != fold], test=rows[fold_of_row == fold])
        for fold in range(num_folds)
    ]
    all_rows = functools.partial(build, train=rows)
    return Folds(rows, fold_of_row, of_folds, all_rows, test)


def split_rows(
    *, strata: pd.Series, keys: pd.Series, num_folds: int, seed: int
) -> np.ndarray:
    """Returns the fold of each row, from 0 <int>[rows].

    Args:
        strata: the class of each row; each fold has its share of every one.
        keys: what rows share that are to be in one fold.

    Raises:
        InputError: there are fewer different keys than folds.
    """
    distinct = keys.nunique()
    if distinct < num_folds:
        raise InputError(
            f"--num_folds={num_folds}: there are {distinct} different texts"
        )
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    if strata.value_counts().max() < num_folds:
        # No fold could have its share of any.
        strata = strata.map(lambda _: "")
    fold_of_row = np.empty(len(keys), np.int64)
    with warnings.catch_warnings():
        # A rare class is in some folds only, and the report says how often.
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, held_out) in enumerate(
            splitter.split(keys, strata, groups=keys)
        ):
            fold_of_row[held_out] = fold
    return fold_of_row
