"""Trains once more, on the validation rows as well.

Of few labels those kept for validation are many. Once they have told the best
epoch and given their figures, the same training on all rows, up to that epoch,
gives the model that is saved.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import logging

from bert_tf import run_dir
from bert_tf.data import input_pipeline
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.trainer import Trainer


class Start(NamedTuple):
    """Where a training begins.

    Attributes:
        variables: all that it changes.
        has_probe: whether a linear probe is epoch 0.
    """

    variables: list[np.ndarray]
    has_probe: bool


def copy_start(trainer: Trainer, *, has_probe: bool) -> Start:
    """Copies the variables of a training that has not begun."""
    variables = [np.array(one) for one in trainer.checkpoints.variables]
    return Start(variables, has_probe)


def refit(
    trainer: Trainer, start: Start, *, epoch: int, temperature: float
) -> None:
    """Trains on all rows; the weights are written beside the best ones.

    An epoch takes as many steps as before, so that the learning rate falls as
    it did: of n times the rows it passes 1/n.

    Args:
        trainer: its training is over, its validation split evaluated: what was
            predicted for it is of the model before, and forgotten here.
        start: of the training.
        epoch: the best one.
        temperature: of the scores, fitted before; the model gets it.
    """
    names = ("train", "validation")
    rows = pd.concat([trainer.splits[name] for name in names])
    if "weight" in rows:
        rows["weight"] = rows["weight"].fillna(1.0)
    logging.info(
        "Training once more, on all %d labelled rows: the validation split has "
        "told what it can.",
        len(rows),
    )
    for variable, value in zip(
        trainer.checkpoints.variables, start.variables, strict=True
    ):
        variable.assign(value)
    encoded = [trainer.encoded[name] for name in names]
    everything = dataclasses.replace(
        trainer,
        splits={"train": rows},
        encoded={"train": input_pipeline.concatenate(*encoded)},
    )
    everything.steps = trainer.steps
    everything.fit_up_to(epoch, has_probe=start.has_probe)
    everything.save_weights(run_dir.REFIT_WEIGHTS)
    # The chief has written them before any worker reads them.
    strategy_lib.check_agreement(trainer.strategy, "the refit", [epoch])
    everything.load_weights(run_dir.REFIT_WEIGHTS)
    trainer.apply_temperature(temperature)
