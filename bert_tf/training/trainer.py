"""The training loop: train, validate, keep the best weights."""

import dataclasses
import math
import os
import time
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import logging

from bert_tf import run_dir
from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import classifier
from bert_tf.tasks import pooling
from bert_tf.tasks.base import Task, timed_metrics
from bert_tf.training import (
    contrastive,
    defaults,
    linear_start,
    progress,
    training_warnings,
)
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import Checkpoints, TrainingState
from bert_tf.training.preemption import PreemptionHandler
from bert_tf.training.train_step import TrainSteps


@dataclasses.dataclass(kw_only=True)
class Trainer:
    """The epochs of one training, and the best of them.

    Attributes:
        model: has its optimizer.
        splits: labelled rows: `train`, `validation` and perhaps `test`.
        encoded: their tokens.
        predict: from tokens to what `Task.metrics` takes.
        train_steps, pair_steps: of ordinary epochs and the contrastive one.
        checkpoints: of the model, its optimizer and `TrainingState`.
        output_dir: the run folder, which is there.
        fixed_length: as of `build_dataset`.
        is_chief: whether this process writes files.
        rows, steps: of an epoch that is not the contrastive one.
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
    train_steps: TrainSteps
    pair_steps: TrainSteps
    checkpoints: Checkpoints
    output_dir: str
    train_batch_size: int
    num_train_epochs: int
    contrastive_steps: int
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
        is_weighted = "weight" in self.splits["train"]
        if is_weighted:
            weights = weights * self.splits["train"]["weight"].to_numpy()
        self.targets, self._weights, self._weight_sum = pooling.by_window(
            self.task, self.labels, weights, encoded, steps=self.steps
        )
        is_weighted |= self.class_weight != "none"
        if is_weighted and self._weight_sum is None:
            # Over the epoch: within a batch a rare class would count less.
            self._weight_sum = float(self._weights.sum()) / self.steps
        # Predictions and their seconds: of the weights as they are, and of the
        # best ones, if this process has validated them.
        self._predicted: dict[str, tuple[np.ndarray, float]] = {}
        self._best_predicted: dict[str, tuple[np.ndarray, float]] = {}
        self._learning_curve: dict[int, float] = {}

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

    def load_weights(self, name: str = run_dir.WEIGHTS) -> None:
        """Reads the best weights, for the task's `saved_form`."""
        with classifier.without_optimizer(self.model):
            self.model.load_weights(os.path.join(self.output_dir, name))
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
    ) -> None:
        """Trains from `state` on; leaves the best weights in the run folder.

        Raises:
            InputError: the loss became NaN.
            InterruptedTrainingError: SIGTERM came; the state is saved.
        """
        try:
            self._fit(state, callbacks, preemption)
        finally:
            self.checkpoints.finish()

    def fit_up_to(self, epoch: int, *, has_probe: bool) -> None:
        """Trains up to an epoch, without a look at the validation split.

        Args:
            epoch: the last one; 0 is the linear probe alone.
            has_probe: whether epochs follow a linear probe. The contrastive
                one has a probe of its own and needs none.
        """
        has_probe &= epoch == 0 or not self.contrastive_steps
        state = TrainingState(data={}, epoch=-1 if has_probe else 0)
        callback_list = keras.callbacks.CallbackList()
        while state.epoch < epoch:
            for _ in self._train_epoch(state, callback_list):
                pass
            state.epoch, state.step = state.number, 0

    def _fit(self, state, callbacks, preemption) -> None:
        self.model.stop_training = False
        callback_list = keras.callbacks.CallbackList(
            callbacks, model=self.model
        )
        start = time.monotonic() - state.seconds
        callback_list.on_train_begin()
        while not self._is_over(state):
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
            is_last = state.number == self.num_train_epochs
            if is_last or self.checkpoints.is_due():
                self.checkpoints.save(state)
                if not strategy_lib.has_workers(self.strategy):
                    preemption.stop_at_once()
            logs = self._validate(state)
            callback_list.on_epoch_end(state.epoch - 1, logs)
        callback_list.on_train_end()

    def _is_contrastive(self, state: TrainingState) -> bool:
        """Whether the epoch that is being trained is the contrastive one."""
        return state.number == 1 and self.contrastive_steps > 0

    def _fit_probe(self, state: TrainingState) -> None:
        """Fits the head to the backbone as it is: epoch 0 is that alone."""
        fitted = linear_start.fit_head(
            self.model,
            self.task,
            self.strategy,
            self.predict,
            self.encoded["train"],
            self.targets,
            self._weights,
            # Rows that the vectors were drawn together of cannot choose it.
            strength=contrastive.PROBE_STRENGTH if state.number else None,
            seed=self.seed,
        )
        state.loss_sum = fitted.loss * max(state.step, 1)
        state.num_correct = fitted.share_correct * self.rows
        self._learning_curve = fitted.learning_curve
        self._predicted = {}

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
        is_contrastive = self._is_contrastive(state)
        logs = {
            "train_runtime": state.seconds,
            "loss": state.loss_sum / max(state.step, 1),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        if self.task.is_multiclass:
            logs["accuracy"] = state.num_correct / self.rows
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
        is_few = metrics["eval_samples"] < defaults.FEW_ROWS_TO_TELL
        is_kept_anyhow = is_contrastive and is_few
        self._keep_if_best(state, metrics, is_kept_anyhow)
        progress.log_epoch(
            state.history[-1],
            is_contrastive=is_contrastive,
            metric=metric,
            is_best=state.best_epoch == state.epoch,
            is_kept_anyhow=is_kept_anyhow,
        )
        if self.is_chief:
            run_dir.write_text(
                os.path.join(self.output_dir, run_dir.HISTORY),
                pd.DataFrame(state.history).to_csv(index=False),
            )
        if state.epoch == 0 and self.task.is_multiclass:
            predictions = {
                name: self.evaluate(name, self.task)[0]
                for name in self.splits
                if name != "train"
            }
            if self.is_chief:
                linear_start.write(
                    self.output_dir, predictions, self._learning_curve
                )
        return logs

    def _keep_if_best(self, state, metrics: dict, is_kept_anyhow: bool) -> None:
        metric = self.metric_for_best_model
        value, loss = metrics[f"eval_{metric}"], metrics["eval_loss"]
        if is_kept_anyhow or state.is_better(value, loss, metric):
            state.best, state.best_epoch = value, state.epoch
            state.best_loss = loss
            self._best_predicted = self._predicted
            self.save_weights()

    def _validation_metrics(self) -> dict:
        """Returns those at the thresholds that would be fitted now."""
        predictions, metrics = self.evaluate("validation", self.task)
        if not self.task.has_thresholds:
            return metrics
        task = self.task.fit_thresholds(
            self.splits["validation"], self.encoded["validation"], predictions
        )
        return self.evaluate("validation", task)[1]

    def _train_epoch(self, state: TrainingState, callback_list):
        """Trains an epoch, and the probe that ends it, if one does."""
        yield from self._take_steps(state, callback_list)
        if state.number == 0 or self._is_contrastive(state):
            self._fit_probe(state)

    def _take_steps(self, state: TrainingState, callback_list):
        """Takes the epoch's steps from state.step on, yielding after each."""
        encoded = self.encoded["train"]
        is_contrastive = self._is_contrastive(state)
        if state.number == 0:
            plan = []
        elif is_contrastive:
            plan = contrastive.plan_epoch(
                self.targets,
                batch_size=self.train_batch_size,
                steps=self.contrastive_steps,
                seed=self.seed,
            )
        else:
            plan = input_pipeline.plan_training_epoch(
                encoded.lengths,
                batch_size=self.train_batch_size,
                seed=self.seed,
                epoch=state.epoch - (self.contrastive_steps > 0),
            )[: self.steps]
        steps = len(plan)
        self._begin_epoch(state, callback_list, steps)
        if state.step == steps:
            return
        self._predicted = {}
        dataset = input_pipeline.build_dataset(
            encoded,
            plan[state.step :],
            batch_size=self.train_batch_size,
            pad_token_id=self.pad_token_id,
            labels=self.targets,
            weights=self._weights,
            weight_sum=None if is_contrastive else self._weight_sum,
            fixed_length=self.fixed_length,
            pad_to_multiple_of=self.pad_to_multiple_of,
            longest=self.max_seq_length,
        )
        batches = self.strategy.experimental_distribute_dataset(dataset)
        iterator = iter(batches)
        built = self.pair_steps if is_contrastive else self.train_steps
        while state.step < steps:
            callback_list.on_train_batch_begin(state.step)
            count = min(self.steps_per_execution, steps - state.step)
            take = built.build(count, batches.element_spec)
            loss, num_correct = map(float, take(iterator))
            training_warnings.check_finite(
                loss,
                where=f"in epoch {state.number}, step {state.step + 1} of "
                f"{steps}",
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

    def steps_of(self, epochs: int) -> int:
        """Returns the steps of the first so many epochs."""
        if epochs > 0 and self.contrastive_steps:
            return self.contrastive_steps + self.steps * (epochs - 1)
        return self.steps * max(epochs, 0)

    def _begin_epoch(self, state, callback_list, steps: int) -> None:
        callback_list.set_params(
            {
                "epochs": self.num_train_epochs,
                "steps": steps,
                # For the time left.
                "steps_before": self.steps_of(state.epoch),
                "steps_in_all": self.steps_of(self.num_train_epochs),
            }
        )
        callback_list.on_epoch_begin(state.epoch)

    def save_weights(self, name: str = run_dir.WEIGHTS) -> None:
        """Writes the weights as `load_weights` reads them, if it is chief."""
        if not self.is_chief:
            return
        path = os.path.join(self.output_dir, name)
        # With room for names and shapes, of which a tiny model consists.
        num_bytes = np.dtype(np.float32).itemsize * self.model.count_params()
        run_dir.check_space(path, int(1.1 * num_bytes) + 2**18)
        with (
            run_dir.written_aside(path) as aside,
            classifier.rescaled(self.model, *self.task.scale),
            classifier.without_optimizer(self.model),
        ):
            self.model.save_weights(aside)
