"""From files of labelled texts to a run folder; sees every part."""

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Sequence

import keras
import pandas as pd
from absl import logging

from bert_tf import labels as labels_lib
from bert_tf import run_dir
from bert_tf.config import TrainConfig
from bert_tf.data import checking, examples, pipeline, splitting
from bert_tf.errors import InputError
from bert_tf.evaluation import metrics as metrics_lib
from bert_tf.evaluation import plots, report
from bert_tf.models import classifier, presets, trained
from bert_tf.text.preprocessing import Preprocessor
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.fit import Fit

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
            dropout=config.backbone_dropout, dtype=config.dtype_policy
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
    fit = Fit(
        config,
        class_names=class_names,
        strategy=strategy,
        model=model,
        encoded=encoded,
        pad_token_id=preprocessor.tokenizer.pad_token_id,
    )
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
