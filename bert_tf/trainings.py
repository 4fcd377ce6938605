"""Trains and searches from Python: frames or files in, a run out.

Nothing here imports TensorFlow before the data are read and checked.
"""

import gc
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bert_tf import files, quiet, run_dir, runs
from bert_tf.config.search_space import SearchConfig
from bert_tf.config.training import TrainConfig
from bert_tf.data.readers import frames
from bert_tf.data.readers.frames import FrameSource
from bert_tf.data.splits import read_splits
from bert_tf.errors import InputError, check_installed


def train(
    data: runs.Data,
    *,
    output_dir: str | os.PathLike,
    validation: runs.Data | None = None,
    test: runs.Data | None = None,
    **settings,
) -> runs.Run:
    """Trains a model, as pipelines.train does.

    Args:
        data: a DataFrame with a column of texts and one of labels, (texts,
            labels), or paths and globs of files.
        output_dir: the run folder, new or of an interrupted run.
        validation: else a part of `data` is split off.
        test: asked in the end.
        **settings: the flags of pipelines.train by their names, such as
            num_train_epochs=3; `pipelines.train --helpfull` lists them.

    Raises:
        InputError: settings or data are wrong; names the row of a frame as
            `iloc` counts it, or the line of a file.
    """
    config, given = _read_settings(
        settings | {"output_dir": os.fspath(output_dir)},
        train=data,
        validation=validation,
        test=test,
    )
    with quiet.told_in_notebook():
        train_config(config, given)
    return runs.load(config.output_dir)


def search(
    data: runs.Data,
    *,
    output_dir: str | os.PathLike,
    validation: runs.Data | None = None,
    num_trials: int | None = None,
    time_budget: str | None = None,
    space: str = "default",
    presets: Sequence[str] = (),
    **settings,
) -> runs.Run:
    """Searches for better settings than the defaults, as pipelines.search does.

    Args:
        data: as of `train`.
        output_dir: a folder for the runs, new or of an interrupted search;
            trials.csv and search.html are there, too.
        validation: what trials are compared on; else a part of `data`.
        num_trials: trainings beside that with the defaults.
        time_budget: such as "30m".
        space: "default" or "bert_paper".
        presets: checkpoints to choose from.
        **settings: as of `train`; those that are given are not varied.

    Returns:
        The best run, or that with the defaults, where none is better.

    Raises:
        InputError: as of `train`.
        InstallationError: the package optuna is missing.
    """
    search_config = SearchConfig(
        num_trials=num_trials,
        time_budget=time_budget,
        space=space,
        presets=tuple(presets),
    )
    config, given = _read_settings(
        settings | {"output_dir": os.fspath(output_dir)},
        train=data,
        validation=validation,
    )
    check_installed("optuna", "bert_tf.search")
    splits = read_splits(config, given)
    with quiet.imports():
        from bert_tf.training import search as search_lib
    with quiet.told_in_notebook():
        summary = search_lib.search(splits, config, search_config)
    return runs.load(summary["chosen"])


def _read_settings(
    settings: dict[str, Any], **sources: runs.Data | None
) -> tuple[TrainConfig, dict[str, FrameSource]]:
    """Returns checked settings, and the frames among the sources by flag."""
    # Which follow, once the settings are known to be right.
    options = runs.build(
        TrainConfig, settings | {"train_file": ("-",)}
    ).read_options()
    given = {}
    for name, one in sources.items():
        if one is None:
            continue
        source = frames.as_source(one, f"<{name}>", options, labelled=True)
        if isinstance(source, FrameSource):
            given[f"{name}_file"], source = source, (source.name,)
        settings[f"{name}_file"] = source
    return runs.build(TrainConfig, settings), given


def train_config(
    config: TrainConfig,
    given: Mapping[str, FrameSource] = {},
    *,
    sample_weight: Sequence[float] | None = None,
) -> None:
    """Trains with settings that are checked.

    Args:
        given: see `read_splits`.
        sample_weight: how much each row of the given training frame counts,
            above 0; its split for validation is measured without.

    Raises:
        InputError: see `read_splits` and `train.train`.
    """
    if not files.is_remote(config.output_dir):
        run_dir.check_output_dir(
            config.output_dir,
            overwrite=config.overwrite_output_dir,
            resume=config.resume,
        )
    splits = read_splits(config, given)
    if sample_weight is not None:
        _weigh(splits.frames["train"], given["train_file"], sample_weight)
    with quiet.imports():
        from bert_tf.training import train as train_lib
    try:
        train_lib.train(splits, config)
    finally:
        # Keras' models are cycles, which Python would leave for long.
        gc.collect()


def _weigh(
    train_rows: pd.DataFrame, source: FrameSource, weights: Sequence[float]
) -> None:
    weights = np.asarray(weights, np.float32)
    if weights.shape != (len(source.frame),):
        raise InputError(
            f"sample_weight must be one number a row, {len(source.frame):,} "
            f"in all, not {weights.shape}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError("sample_weight must be numbers from 0 on")
    if not weights.any():
        raise InputError("sample_weight is zero for all rows")
    # Where a row stands in the frame.
    train_rows["weight"] = weights[train_rows["line"].to_numpy()]
