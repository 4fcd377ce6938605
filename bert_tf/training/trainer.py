"""The training loop: train, validate, keep the best weights."""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import logging

from bert_tf import run_dir
from bert_tf.config.training import SELECTION_METRICS
from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import classifier
from bert_tf.tasks import pooling
from bert_tf.tasks.base import Task, timed_metrics
from bert_tf.training import strategy as strategy_lib
from bert_tf.training import train_step, training_warnings
from bert_tf.training.checkpoints import Checkpoints, TrainingState
from bert_tf.training.preemption import PreemptionHandler

# Rows that a linear probe is fitted to; more hardly change it.
_PROBED = 10_000


@dataclasses.dataclass(kw_only=True)
class Trainer:
    """The epochs of one training, and the best of them.

    Attributes:
        model: has its optimizer.
        splits: labelled rows: `train`, `validation` and perhaps `test`.
        encoded: their tokens.
        predict: from tokens to what `Task.metrics` takes.
        build_train_step: from the batches' element_spec to a step, see
            `train_step.build_train_step`.
        checkpoints: of the model, its optimizer and `TrainingState`.
        output_dir: the run folder, which is there.
        fixed_length: as of `build_dataset`.
        is_chief: whether this process writes files.
        rows, steps: of an epoch.
        labels: the task's targets of the training examples.
        targets: of the training rows, which may be windows of these.

    The others are settings, see `TrainConfig`.
    """

    model: keras.Model
    task: Task
    strategy: tf.distribute.Strategy
    splits: dict[str, pd.DataFrame]
    encoded: dict[str, EncodedTexts | TokenizedRecords]
    predict: KerasPredictor
    build_train_step: Callable[..., Callable]
    checkpoints: Checkpoints
    output_dir: str
    train_batch_size: int
    num_train_epochs: int
    head_init: str
    class_weight: str
    metric_for_best_model: str
    early_stopping_patience: int | None
    steps_per_execution: int
    seed: int
    pad_token_id: int
    fixed_length: int | None
    pad_to_multiple_of: int
    max_seq_length: int

    def __post_init__(self):
        """Prepares the targets."""
        encoded = self.encoded["train"]
        self.is_chief = strategy_lib.is_chief(self.strategy)
        self.rows = len(encoded.lengths)
        self.steps = math.ceil(self.rows / self.train_batch_size)
        self.labels = self.task.targets(self.splits["train"], encoded)
        weights = self.task.weights(self.labels, self.class_weight)
        self.targets, self._weights, self._weight_sum = pooling.by_window(
            self.task, self.labels, weights, encoded, steps=self.steps
        )
        self._train_step, self._train_steps = None, {}
        if self.class_weight != "none" and self._weight_sum is None:
            # Over the epoch: within a batch a rare class would count less.
            self._weight_sum = float(self._weights.sum()) / self.steps
        # Predictions and their seconds: of the weights as they are, and of the
        # best ones, if this process has validated them.
        self._predicted: dict[str, tuple[np.ndarray, float]] = {}
        self._best_predicted: dict[str, tuple[np.ndarray, float]] = {}

    def evaluate(self, name: str, task: Task) -> tuple[np.ndarray, dict]:
        """Returns what is predicted for a split, and its metrics.

        What was predicted with the weights as they are is not predicted again.
        """
        if name not in self._predicted:
            start = time.monotonic()
            predictions = self.predict(self.encoded[name])
            self._predicted[name] = predictions, time.monotonic() - start
        predictions, seconds = self._predicted[name]
        return predictions, timed_metrics(
            task,
            self.splits[name],
            self.encoded[name],
            predictions,
            seconds=seconds,
        )

    def load_best(self) -> None:
        """Reads the best weights, for the task's `saved_form`."""
        self.model.load_weights(os.path.join(self.output_dir, run_dir.WEIGHTS))
        factor, offset = self.task.scale
        self._predicted = {
            name: (predictions * np.float32(factor) + np.float32(offset), time_)
            for name, (predictions, time_) in self._best_predicted.items()
        }

    def apply_temperature(self, value: float) -> None:
        """Divides the model's logits by a temperature from now on."""
        classifier.apply_temperature(self.model, value)
        self._predicted = {}

    def fit(
        self,
        state: TrainingState,
        callbacks: Sequence[keras.callbacks.Callback],
        preemption: PreemptionHandler,
    ) -> dict:
        """Trains from `state` on; leaves the best weights in the run folder.

        Raises:
            InputError: the loss became NaN.
            InterruptedTrainingError: SIGTERM came; the state is saved.
        """
        try:
            return self._fit(state, callbacks, preemption)
        finally:
            self.checkpoints.finish()

    def _fit(self, state, callbacks, preemption) -> dict:
        self.model.stop_training = False
        callback_list = keras.callbacks.CallbackList(
            callbacks,
            model=self.model,
            epochs=self.num_train_epochs,
            steps=self.steps,
        )
        start = time.monotonic() - state.seconds
        if self.head_init == "linear_probe" and state == TrainingState(
            state.data
        ):
            self._start_from_probe(state)
        callback_list.on_train_begin()
        while not self._is_over(state):
            callback_list.on_epoch_begin(state.epoch)
            preemption.stop_at_steps()
            for _ in self._train_epoch(state, callback_list):
                state.seconds = time.monotonic() - start
                if strategy_lib.any_worker(self.strategy, preemption.requested):
                    self.checkpoints.save(state)
                    self.checkpoints.finish()
                    preemption.stop()
                if self.checkpoints.is_due():
                    self.checkpoints.save(state)
            state.seconds = time.monotonic() - start
            # Dozens of short epochs would spend most of their time on it.
            is_last = state.epoch + 1 == self.num_train_epochs
            if is_last or self.checkpoints.is_due():
                self.checkpoints.save(state)
                if not strategy_lib.has_workers(self.strategy):
                    preemption.stop_at_once()
            logs = self._validate(state)
            callback_list.on_epoch_end(state.epoch - 1, logs)
        callback_list.on_train_end()
        return self._outcome(state)

    def _start_from_probe(self, state: TrainingState) -> None:
        """Fits the head to the backbone as it is, and validates that.

        It is kept as epoch 0 until an epoch is better.
        """
        encoded = self.encoded["train"]
        rows = np.sort(
            np.random.default_rng(self.seed).permutation(self.rows)[:_PROBED]
        )
        head = self.task.fit_linear_probe(
            self.predict.embed(encoded, rows),
            self.targets[rows],
            self._weights[rows],
        )
        classifier.set_head(self.model, *head)
        strategy_lib.check_agreement(
            self.strategy,
            "the linear probe (on CPUs that differ pass --head_init=random)",
            [float(values.sum(dtype=np.float64)) for values in head],
        )
        metrics = self._validation_metrics()
        self._keep_if_best(state, metrics)
        logging.info(
            "epoch 0, the linear probe: validation loss %.4f, %s %s",
            metrics["eval_loss"],
            self.metric_for_best_model,
            "undefined" if state.best is None else f"{state.best:.4f}",
        )

    def _is_over(self, state: TrainingState) -> bool:
        if state.epoch >= self.num_train_epochs:
            return True
        patience = self.early_stopping_patience
        if patience and state.epoch - state.best_epoch >= patience:
            logging.info("no better epoch in %d: stopping early", patience)
            return True
        return self.model.stop_training

    def _validate(self, state: TrainingState) -> dict:
        """Ends an epoch: validates, and keeps the weights if they are best."""
        logs = {
            "train_runtime": state.seconds,
            "loss": state.loss_sum / self.steps,
        }
        if self.task.is_multiclass:
            logs["accuracy"] = state.num_correct / self.rows
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        metrics = self._validation_metrics()
        logs.update(
            (key, value)
            for key, value in metrics.items()
            if key.startswith("eval_") and value is not None
        )
        state.epoch += 1
        state.step, state.loss_sum, state.num_correct = 0, 0.0, 0.0
        state.history.append({"epoch": state.epoch, **logs})
        metric = self.metric_for_best_model
        value = self._keep_if_best(state, metrics)
        logging.info(
            "epoch %d: validation loss %.4f, %s %s%s",
            state.epoch,
            logs["eval_loss"],
            metric,
            "undefined" if value is None else f"{value:.4f}",
            " (best so far)" if state.best_epoch == state.epoch else "",
        )
        if self.is_chief:
            run_dir.write_text(
                os.path.join(self.output_dir, run_dir.HISTORY),
                pd.DataFrame(state.history).to_csv(index=False),
            )
        return logs

    def _keep_if_best(self, state: TrainingState, metrics: dict):
        """Returns the metric that decides; None where it is undefined."""
        metric = self.metric_for_best_model
        value, loss = metrics[f"eval_{metric}"], metrics["eval_loss"]
        if is_better(value, state.best, metric, loss, state.best_loss):
            state.best, state.best_epoch = value, state.epoch
            state.best_loss = loss
            self._best_predicted = self._predicted
            if self.is_chief:
                self._save_weights()
        return value

    def _validation_metrics(self) -> dict:
        """Returns those at the thresholds that would be fitted now."""
        predictions, metrics = self.evaluate("validation", self.task)
        if not self.task.has_thresholds:
            return metrics
        task = self.task.fit_thresholds(
            self.splits["validation"], self.encoded["validation"], predictions
        )
        return self.evaluate("validation", task)[1]

    def _outcome(self, state: TrainingState) -> dict:
        samples = len(self.splits["train"])
        return {
            "train": {
                "train_loss": state.history[-1]["loss"],
                "train_samples": samples,
                "train_steps": self.steps * state.epoch,
                "train_epochs": state.epoch,
                "train_runtime": state.seconds,
                "train_samples_per_second": samples
                * state.epoch
                / state.seconds,
            },
            "best": {
                "metric": self.metric_for_best_model,
                "value": state.best,
                "epoch": state.best_epoch,
            },
        }

    def _train_epoch(self, state: TrainingState, callback_list):
        """Trains the epoch's steps from state.step on, yielding after each."""
        encoded = self.encoded["train"]
        plan = input_pipeline.plan_training_epoch(
            encoded.lengths,
            batch_size=self.train_batch_size,
            seed=self.seed,
            epoch=state.epoch,
        )[state.step :]
        if not plan:
            return
        self._predicted = {}
        dataset = input_pipeline.build_dataset(
            encoded,
            plan,
            batch_size=self.train_batch_size,
            pad_token_id=self.pad_token_id,
            labels=self.targets,
            weights=self._weights,
            weight_sum=self._weight_sum,
            fixed_length=self.fixed_length,
            pad_to_multiple_of=self.pad_to_multiple_of,
            longest=self.max_seq_length,
        )
        batches = self.strategy.experimental_distribute_dataset(dataset)
        if self._train_step is None:
            logging.info("Tracing the training step.")
            self._train_step = self.build_train_step(
                element_spec=batches.element_spec
            )
        iterator = iter(batches)
        while state.step < self.steps:
            callback_list.on_train_batch_begin(state.step)
            count = min(self.steps_per_execution, self.steps - state.step)
            loss, num_correct = map(float, self._take_steps(iterator, count))
            training_warnings.check_finite(
                loss,
                where=f"in epoch {state.epoch + 1}, step {state.step + 1} of "
                f"{self.steps}",
                learning_rate=float(self.model.optimizer.learning_rate),
                mixed_precision=self.model.compute_dtype != "float32",
            )
            state.step += count
            state.loss_sum += loss * self.task.scale[0] ** 2
            state.num_correct += num_correct
            callback_list.on_train_batch_end(
                state.step - 1, {"loss": state.loss_sum / state.step}
            )
            yield

    def _take_steps(self, iterator, count: int) -> tuple:
        if count == 1:
            return self._train_step(next(iterator))
        if count not in self._train_steps:
            self._train_steps[count] = train_step.build_train_steps(
                self._train_step, count
            )
        return self._train_steps[count](iterator)

    def _save_weights(self) -> None:
        path = os.path.join(self.output_dir, run_dir.WEIGHTS)
        with (
            run_dir.written_aside(path) as aside,
            classifier.rescaled(self.model, *self.task.scale),
        ):
            self.model.save_weights(aside)


def is_better(
    value: float | None,
    best: float | None,
    metric: str,
    loss: float,
    best_loss: float,
) -> bool:
    """Whether a metric's value is better, or as good and the loss is lower.

    None is where it is undefined, which nothing is worse than.
    """
    if value == best:
        return loss < best_loss
    if value is None or best is None:
        return value is not None
    return value > best if SELECTION_METRICS[metric] else value < best
