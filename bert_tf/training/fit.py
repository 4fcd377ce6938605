"""The epochs of one training: train, validate, keep the best weights."""

import math
import os
import time

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import logging
from sklearn.utils.class_weight import compute_class_weight

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config import SELECTION_METRICS, TrainConfig
from bert_tf.data import pipeline
from bert_tf.data.pipeline import EncodedTexts
from bert_tf.errors import InputError
from bert_tf.evaluation import metrics as metrics_lib
from bert_tf.models import inference
from bert_tf.training import loop, progress
from bert_tf.training import optimizer as optimizer_lib


class Fit:
    """The epochs of one training, and the best of them."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        class_names: tuple[str, ...],
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        encoded: dict[str, EncodedTexts],
        pad_token_id: int,
    ):
        self.config = config
        self.class_names = class_names
        self.strategy = strategy
        self.model = model
        self.encoded = encoded
        self.train_step = None
        self.pad_token_id = pad_token_id
        self.predict = inference.ProbabilityPredictor(
            model,
            strategy=strategy,
            batch_size=config.eval_batch_size,
            pad_token_id=pad_token_id,
        )

    def evaluate(self, name: str, part: pd.DataFrame) -> tuple:
        """Returns the probabilities and the metrics of a part."""
        start = time.monotonic()
        probabilities = self.predict(self.encoded[name])
        seconds = time.monotonic() - start
        metrics = metrics_lib.classification_metrics(
            np.array(labels_lib.class_ids(part["label"], self.class_names)),
            probabilities,
            self.class_names,
        )
        metrics["eval_runtime"] = seconds
        metrics["eval_samples_per_second"] = len(part) / seconds
        return probabilities, metrics

    def run(self, parts: dict[str, pd.DataFrame], callbacks) -> dict:
        """Trains all epochs; leaves the best weights in the run folder."""
        config = self.config
        labels = np.array(
            labels_lib.class_ids(parts["train"]["label"], self.class_names),
            np.int32,
        )
        steps = math.ceil(len(labels) / config.train_batch_size)
        with self.strategy.scope():
            optimizer = optimizer_lib.build_optimizer(
                variables=self.model.trainable_variables,
                learning_rate=config.learning_rate,
                warmup_proportion=config.warmup_proportion,
                total_steps=steps * config.num_train_epochs,
                weight_decay=config.weight_decay,
                mixed_precision=config.mixed_precision,
                num_replicas=self.strategy.num_replicas_in_sync,
            )
            self.model.optimizer = optimizer
        self.model.stop_training = False
        callback_list = keras.callbacks.CallbackList(
            [
                progress.Progress(config.train_batch_size),
                keras.callbacks.TensorBoard(
                    os.path.join(config.output_dir, run_dir.LOGS),
                    write_graph=False,
                ),
                *callbacks,
            ],
            model=self.model,
            epochs=config.num_train_epochs,
            steps=steps,
        )
        best, best_epoch = None, 0
        history = []
        start = time.monotonic()
        callback_list.on_train_begin()
        for epoch in range(config.num_train_epochs):
            callback_list.on_epoch_begin(epoch)
            logs = self._train_epoch(epoch, labels, callback_list)
            _, metrics = self.evaluate("validation", parts["validation"])
            logs.update(
                (key, value)
                for key, value in metrics.items()
                if key.startswith("eval_") and value is not None
            )
            value = metrics[f"eval_{config.metric_for_best_model}"]
            if _is_better(value, best, config.metric_for_best_model):
                best, best_epoch = value, epoch + 1
                self._save_weights()
            logging.info(
                "epoch %d: validation loss %.4f, accuracy %.4f, %s %s%s",
                epoch + 1,
                logs["eval_loss"],
                logs["eval_accuracy"],
                config.metric_for_best_model,
                "undefined" if value is None else f"{value:.4f}",
                " (best so far)" if best_epoch == epoch + 1 else "",
            )
            history.append({"epoch": epoch + 1, **logs})
            run_dir.write_text(
                os.path.join(config.output_dir, run_dir.HISTORY),
                pd.DataFrame(history).to_csv(index=False),
            )
            callback_list.on_epoch_end(epoch, logs)
            patience = config.early_stopping_patience
            if patience and epoch + 1 - best_epoch >= patience:
                logging.info("no better epoch in %d: stopping early", patience)
                break
            if self.model.stop_training:
                break
        callback_list.on_train_end()
        seconds = time.monotonic() - start
        samples = len(labels) * (epoch + 1)
        return {
            "train": {
                "train_loss": logs["loss"],
                "train_samples": len(labels),
                "train_steps": steps * (epoch + 1),
                "train_epochs": epoch + 1,
                "train_runtime": seconds,
                "train_samples_per_second": samples / seconds,
            },
            "best": {
                "metric": config.metric_for_best_model,
                "value": best,
                "epoch": best_epoch,
            },
        }

    def _train_epoch(self, epoch: int, labels, callback_list) -> dict:
        config = self.config
        encoded = self.encoded["train"]
        plan = pipeline.plan_training_epoch(
            encoded.lengths,
            batch_size=config.train_batch_size,
            seed=config.seed,
            epoch=epoch,
        )
        dataset = pipeline.build_dataset(
            encoded,
            plan,
            batch_size=config.train_batch_size,
            pad_token_id=self.pad_token_id,
            labels=labels,
            weights=example_weights(labels, config.class_weight),
        )
        loss_sum, hits = 0.0, 0.0
        batches = self.strategy.experimental_distribute_dataset(dataset)
        if self.train_step is None:
            self.train_step = loop.build_train_step(
                strategy=self.strategy,
                model=self.model,
                optimizer=self.model.optimizer,
                element_spec=batches.element_spec,
            )
        for number, batch in enumerate(batches):
            callback_list.on_train_batch_begin(number)
            loss, batch_hits = (
                float(value) for value in self.train_step(batch)
            )
            if not math.isfinite(loss):
                self._stop_on_nan(epoch, number, len(plan), loss)
            loss_sum += loss
            hits += batch_hits
            callback_list.on_train_batch_end(
                number, {"loss": loss_sum / (number + 1)}
            )
        return {
            "loss": loss_sum / len(plan),
            "accuracy": hits / len(labels),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }

    def _stop_on_nan(self, epoch: int, number: int, steps: int, loss: float):
        rate = float(self.model.optimizer.learning_rate)
        raise InputError(
            f"the training loss became {loss} in epoch {epoch + 1}, step "
            f"{number + 1} of {steps}, at learning rate {rate:.3g} (peak "
            f"{self.config.learning_rate:.3g}); try a lower --learning_rate"
            + (
                " or --mixed_precision=float32"
                if self.config.mixed_precision != "float32"
                else ""
            )
        )

    def _save_weights(self) -> None:
        path = os.path.join(self.config.output_dir, run_dir.WEIGHTS)
        # Keras tells the format by the suffix.
        aside = path.replace(".weights.h5", ".new.weights.h5")
        self.model.save_weights(aside)
        os.replace(aside, path)


def example_weights(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """Returns how much each example counts <float32>[rows]."""
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    classes = np.unique(labels)
    weights = compute_class_weight(class_weight, classes=classes, y=labels)
    by_class = np.zeros(classes.max() + 1, np.float32)
    by_class[classes] = weights
    return by_class[labels]


def _is_better(value: float | None, best: float | None, metric: str) -> bool:
    if best is None:
        # Also where the metric is undefined: some weights must be kept.
        return True
    if value is None:
        return False
    return value > best if SELECTION_METRICS[metric] else value < best
