"""From files of labelled texts to a run folder; sees every part."""

import dataclasses
import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
from absl import logging
from sklearn.utils.class_weight import compute_class_weight

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config import SELECTION_METRICS, TrainConfig
from bert_tf.data import checking, examples, pipeline, splitting
from bert_tf.errors import InputError
from bert_tf.evaluation import metrics as metrics_lib
from bert_tf.evaluation import plots, report
from bert_tf.models import classifier, presets, trained
from bert_tf.text.preprocessing import Preprocessor
from bert_tf.training import loop, progress
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import strategy as strategy_lib

_PACKAGES = (
    "bert_tf", "tensorflow", "tensorflow-text", "keras", "keras-nlp",
    "keras-hub", "numpy", "pandas", "scikit-learn",
)  # fmt: skip


def train(
    config: TrainConfig, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> dict:
    """Trains a classifier and writes the run folder config.output_dir.

    Args:
        config: every setting.
        callbacks: called beside the ones for progress, history and
            TensorBoard.

    Returns:
        What metrics.json holds.

    Raises:
        InputError: the settings or the data are wrong. Nothing is written
            then, except where the loss becomes NaN: the logs stay.
    """
    run_dir.check_output_dir(
        config.output_dir, overwrite=config.overwrite_output_dir
    )
    strategy = strategy_lib.build_strategy(config.distribution_strategy)
    for flag in ("train_batch_size", "eval_batch_size"):
        strategy_lib.check_batch_size(
            flag, getattr(config, flag), strategy.num_replicas_in_sync
        )
    parts, config = _read_parts(config)
    class_names = checking.check_labels(parts)
    if config.metric_for_best_model is None:
        config = dataclasses.replace(
            config,
            metric_for_best_model=metrics_lib.headline_metric(class_names),
        )
    preset = presets.resolve(config.preset)
    _check_length(config.max_seq_length, preset.max_positions, config.preset)

    keras.utils.set_random_seed(config.seed)
    preprocessor = Preprocessor(
        preset.vocabulary, sequence_length=config.max_seq_length
    )
    encoded = {
        name: pipeline.encode(preprocessor, examples.segments(part))
        for name, part in parts.items()
    }
    data_report = checking.data_report(
        parts,
        encoded,
        max_seq_length=config.max_seq_length,
        max_positions=preset.max_positions,
    )
    logging.info("%s", checking.describe(data_report))

    with strategy.scope():
        backbone = preset.build_backbone(
            dropout=config.dropout, dtype=config.dtype_policy
        )
        _check_length(
            config.max_seq_length, backbone.max_sequence_length, config.preset
        )
        model = classifier.build_classifier(
            backbone,
            num_classes=len(class_names),
            dropout=config.dropout,
            freeze_backbone=config.freeze_backbone,
        )
    if config.learning_rate is None:
        config = dataclasses.replace(
            config,
            learning_rate=optimizer_lib.default_learning_rate(
                trained.count_parameters(backbone),
                freeze_backbone=config.freeze_backbone,
            ),
        )
    run_dir.create(config.output_dir)
    _write_run(config, class_names, preset, backbone, data_report)
    logging.info(
        "Model: %s, %.1f M parameters, learning rate %g%s, %s; %s",
        config.preset,
        trained.count_parameters(model) / 1e6,
        config.learning_rate,
        ", backbone frozen" if config.freeze_backbone else "",
        config.mixed_precision,
        strategy_lib.describe_devices(strategy),
    )
    fit = _Fit(config, class_names, strategy, model, preprocessor, encoded)
    outcome = fit.run(parts, callbacks)
    model.load_weights(os.path.join(config.output_dir, run_dir.WEIGHTS))
    return _write_results(fit, parts, outcome, data_report)


def _read_parts(
    config: TrainConfig,
) -> tuple[dict[str, pd.DataFrame], TrainConfig]:
    names = {
        flag: getattr(config, flag)
        for flag in (
            "text_column", "text_pair_column", "label_column", "id_column"
        )
    }  # fmt: skip
    train_part, columns = examples.read_examples(config.train_file, **names)
    names.update(
        text_column=columns.text,
        text_pair_column=columns.text_pair,
        label_column=columns.label,
    )
    parts = {}
    if config.validation_file:
        parts["validation"], _ = examples.read_examples(
            config.validation_file, **names
        )
    if config.test_file:
        parts["test"], _ = examples.read_examples(config.test_file, **names)
    if "validation" not in parts:
        labels_lib.check_class_names(
            labels_lib.class_names(train_part["label"]), len(train_part)
        )
        train_part, validation = splitting.split(
            train_part, fraction=config.validation_split, seed=config.seed
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
    return parts, dataclasses.replace(config, **names)


def _check_length(length: int, longest: int | None, preset: str) -> None:
    if longest is not None and length > longest:
        raise InputError(
            f"--max_seq_length={length} is beyond the {longest} positions "
            f"that {preset} knows; use --max_seq_length={longest} or less"
        )


class _Fit:
    """The epochs of one training, and the best of them."""

    def __init__(
        self, config, class_names, strategy, model, preprocessor, encoded
    ):
        self.config = config
        self.class_names = class_names
        self.strategy = strategy
        self.model = model
        self.encoded = encoded
        self.pad_token_id = preprocessor.tokenizer.pad_token_id
        self.predict_step = loop.build_predict_step(
            strategy=strategy, model=model
        )

    def evaluate(self, name: str, part: pd.DataFrame) -> tuple:
        """Returns the probabilities and the metrics of a part."""
        start = time.monotonic()
        probabilities = loop.predict_probabilities(
            self.predict_step,
            self.encoded[name],
            strategy=self.strategy,
            batch_size=self.config.eval_batch_size,
            pad_token_id=self.pad_token_id,
        )
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
        step = loop.build_train_step(
            strategy=self.strategy, model=self.model, optimizer=optimizer
        )
        callback_list = keras.callbacks.CallbackList(
            [
                progress.Progress(config.train_batch_size),
                keras.callbacks.CSVLogger(
                    os.path.join(config.output_dir, run_dir.HISTORY)
                ),
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
        start = time.monotonic()
        callback_list.on_train_begin()
        for epoch in range(config.num_train_epochs):
            callback_list.on_epoch_begin(epoch)
            logs = self._train_epoch(step, epoch, labels, callback_list)
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

    def _train_epoch(self, step, epoch: int, labels, callback_list) -> dict:
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
        losses, hits = [], 0.0
        batches = self.strategy.experimental_distribute_dataset(dataset)
        for number, batch in enumerate(batches):
            callback_list.on_train_batch_begin(number)
            loss, batch_hits = (float(value) for value in step(batch))
            if not math.isfinite(loss):
                self._stop_on_nan(epoch, number, len(plan), loss)
            losses.append(loss)
            hits += batch_hits
            callback_list.on_train_batch_end(
                number, {"loss": float(np.mean(losses))}
            )
        return {
            "loss": float(np.mean(losses)),
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


def _write_run(config, class_names, preset, backbone, data_report) -> None:
    folder = config.output_dir

    def path(name):
        return os.path.join(folder, name)

    run_dir.write_json(path(run_dir.CONFIG), config.to_json())
    run_dir.write_text(path(run_dir.FLAGS), config.to_flagfile())
    labels_lib.write_labels(path(run_dir.LABELS), class_names)
    trained.save_vocabulary(folder, preset.vocabulary)
    presets.save_backbone_config(path(run_dir.BACKBONE), backbone)
    run_dir.write_json(path(run_dir.VERSIONS), versions())
    run_dir.write_json(path(run_dir.DATA_REPORT), data_report)


def _write_results(fit, parts, outcome: dict, data_report: dict) -> dict:
    """Evaluates the best weights and writes what the run is worth."""
    folder = fit.config.output_dir
    history = pd.read_csv(os.path.join(folder, run_dir.HISTORY))
    history["epoch"] += 1
    plots.write_learning_curves(
        os.path.join(folder, "learning_curves.png"),
        history,
        fit.config.metric_for_best_model,
    )
    truncation = {
        key: data_report[key]
        for key in ("max_seq_length", "truncated", "truncated_share")
    }
    results = {}
    # The validation metrics come last: metrics.json marks a finished run.
    for name in ("test", "validation"):
        if name not in parts:
            continue
        probabilities, metrics = fit.evaluate(name, parts[name])
        results[name] = {
            "schema_version": 1,
            **metrics,
            **outcome["train"],
            "truncation": truncation,
            "best": outcome["best"],
            "seed": fit.config.seed,
            "strategy": type(fit.strategy).__name__,
            "replicas": fit.strategy.num_replicas_in_sync,
            "mixed_precision": fit.config.mixed_precision,
            "versions": versions(),
        }
        report.write_evaluation(
            folder,
            examples=parts[name],
            probabilities=probabilities,
            metrics=results[name],
            suffix="_test" if name == "test" else "",
        )
        logging.info(
            "%s\n%s",
            report.metrics_table(metrics, f"{name.capitalize()} part"),
            report.sample_predictions(
                parts[name], probabilities, metrics["labels"]
            ),
        )
    return results["validation"]


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that matter."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
