"""Trains a student from a fine-tuned teacher, following DistilBERT."""

import dataclasses
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import keras_nlp
import pandas as pd
import tensorflow as tf
from absl import logging

from bert_tf import run_dir
from bert_tf.config.distillation import (
    LossWeights,
    is_only_trained,
    start_folder,
)
from bert_tf.config.read_options import ReadOptions
from bert_tf.config.training import TrainConfig
from bert_tf.data import examples
from bert_tf.data.splits import read_splits
from bert_tf.errors import InputError
from bert_tf.evaluation import evaluate as evaluate_lib
from bert_tf.inference import loaded_run, model_files
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import backbones, classifier, encoder
from bert_tf.models.dropout import no_dropout
from bert_tf.presets import presets
from bert_tf.training import checkpoints, new_run
from bert_tf.training import strategy as strategy_lib
from bert_tf.training import train as train_lib

# Both models predict the same texts, interleaved.
_TURNS = 9
# Of the folder beside an unfinished run.
_SETTINGS, _UNLABELLED = "settings.json", "unlabelled.jsonl"
# In the run folder; not "preset", which would be what was trained.
_START = "student_start"


def distill(
    teacher: str,
    config: TrainConfig,
    *,
    unlabelled_file: Sequence[str] = (),
    unlabelled_only: bool = False,
    num_layers: int | None = None,
    weights: LossWeights | None = None,
) -> dict:
    """Trains a student and writes its run folder config.output_dir.

    Unlabelled texts get the teacher's answers as their labels.

    Args:
        teacher: a run folder of pipelines.train.
        config: the student's, see `student_config`; its preset is replaced.
        unlabelled_file: further texts to learn from.
        unlabelled_only: learn from these alone, not from config.train_file.
        num_layers: of the student; half the teacher's by default.
        weights: of what it learns from.

    Returns:
        What distillation.json holds.
    """
    weights = weights or LossWeights()
    if unlabelled_only and not unlabelled_file:
        raise InputError("--unlabelled_only needs an --unlabelled_file")
    run_dir.check_is_local(config.output_dir)
    if (
        strategy_lib.count_workers() > 1
        or config.distribution_strategy == "multi_worker"
    ):
        raise InputError("distillation runs in one process so far")
    if config.tpu is not None or config.distribution_strategy == "tpu":
        raise InputError(
            "distillation does not run on TPUs so far: the teacher is outside "
            "the strategy; name another --distribution_strategy"
        )
    loaded = loaded_run.load(teacher)
    if loaded.task.name != "classification":
        raise InputError(
            f"--teacher={teacher} was trained with --task={loaded.task.name}; "
            "teachers of --task=classification can be distilled"
        )
    backbone = classifier.backbone_of(loaded.model)
    backbones.check_kind(
        type(backbone),
        [backbones.BERT, backbones.ELECTRA],
        f"--teacher={teacher}",
        "distillation",
    )
    num_layers = num_layers or max(1, backbone.num_layers // 2)
    chosen_layers(backbone.num_layers, num_layers)
    settings = {
        "teacher": teacher,
        "num_layers": num_layers,
        "unlabelled_file": list(unlabelled_file),
        "unlabelled_only": unlabelled_only,
        **dataclasses.asdict(weights),
    }
    # Beside the run, for a run folder has to be new; --resume needs it.
    start = start_folder(config.output_dir)
    if not is_only_trained(config):
        resuming = run_dir.check_output_dir(
            config.output_dir,
            overwrite=config.overwrite_output_dir,
            resume=config.resume,
        )
        if os.path.exists(start) and not resuming:
            shutil.rmtree(start)
        if not os.path.exists(start):
            with run_dir.staged(start) as aside:
                _write_start(
                    aside, teacher, loaded, num_layers, unlabelled_file
                )
                run_dir.write_json(os.path.join(aside, _SETTINGS), settings)
        checkpoints.check_same(
            "settings",
            run_dir.read_json(os.path.join(start, _SETTINGS)),
            settings,
        )
        _train(start, config, loaded, weights, unlabelled_only)
    report = {
        "schema_version": 1,
        "teacher": teacher,
        "num_layers": num_layers,
        "loss": dataclasses.asdict(weights),
        **_compare(teacher, config),
    }
    run_dir.write_json(
        os.path.join(config.output_dir, run_dir.DISTILLATION), report
    )
    _keep_start(start, config.output_dir)
    return report


def _keep_start(start: str, output_dir: str) -> None:
    """Keeps the weights that the student started from, which --preset names."""
    kept = os.path.join(output_dir, _START)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(os.path.join(start, run_dir.PRESET), kept)
    config = dataclasses.replace(TrainConfig.read(output_dir), preset=kept)
    new_run.write_settings(output_dir, config)
    shutil.rmtree(start)


def _train(
    start: str,
    config: TrainConfig,
    teacher: LoadedRun,
    weights: LossWeights,
    unlabelled_only: bool,
) -> None:
    config = dataclasses.replace(
        config, preset=os.path.join(start, run_dir.PRESET)
    )
    splits = read_splits(config)
    texts = os.path.join(start, _UNLABELLED)
    if os.path.exists(texts):
        # After the split: what validation measures is people's labels alone.
        labelled, _ = examples.read_examples(
            [texts],
            # In JSON lines, whatever the files of the training are.
            ReadOptions(**config.read_options().columns()),
        )
        train = [] if unlabelled_only else [splits.frames["train"]]
        splits.frames["train"] = pd.concat(
            [*train, labelled], ignore_index=True
        )

    def build_loss_fn(student: keras.Model):
        copy_head(teacher, student)
        return build_loss(weights, teacher.model, student)

    train_lib.train(splits, config, build_loss_fn=build_loss_fn)


def _write_start(
    folder, path, teacher: LoadedRun, num_layers, unlabelled_file
) -> None:
    presets.save_preset(
        os.path.join(folder, run_dir.PRESET),
        build_student_backbone(
            classifier.backbone_of(teacher.model), num_layers=num_layers
        ),
        teacher.preprocessor.vocabulary,
    )
    if not unlabelled_file:
        return
    config = teacher.config
    unlabelled, _ = examples.read_examples(
        unlabelled_file, config.read_options(), labelled=False
    )
    segments = examples.segments(unlabelled)
    if teacher.has_pairs != (len(segments) == 2):
        raise InputError(
            "--unlabelled_file must have as many texts per row as the "
            "teacher's training files"
        )
    model = loaded_run.as_model(
        teacher, path=path, batch_size=config.eval_batch_size
    )
    answers = model.predict_encoded(model.encode(segments)).argmax(axis=1)
    columns = [config.text_column, config.text_pair_column]
    with open(os.path.join(folder, _UNLABELLED), "w", encoding="utf-8") as file:
        for *texts, answer in zip(*segments, answers, strict=True):
            row = dict(zip(columns, texts, strict=False))
            row[config.label_column] = teacher.task.class_names[answer]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    logging.info(
        "%d unlabelled texts got the teacher's answers.", len(unlabelled)
    )


def _compare(teacher: str, config: TrainConfig) -> dict:
    """Measures both on the test texts, or on the validation file's."""
    files = config.test_file or config.validation_file
    paths = {"teacher": teacher, "student": config.output_dir}
    parameters = {
        name: backbones.count_parameters(loaded_run.load(path).model)
        for name, path in paths.items()
    }
    report = {f"{name}_parameters": count for name, count in parameters.items()}
    report["size_ratio"] = parameters["teacher"] / parameters["student"]
    if not files:
        logging.warning(
            "There is no --test_file or --validation_file to compare on."
        )
        return report
    info = model_files.read_info(teacher)
    labelled = examples.read_labelled(
        files,
        info.label_type,
        info.class_names,
        config.read_options(),
    )
    models = {
        name: loaded_run.open_model(path, batch_size=config.eval_batch_size)
        for name, path in paths.items()
    }
    evaluations = {
        name: evaluate_lib.evaluate(model, labelled)
        for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(_TURNS):
        for name, evaluation in evaluations.items():
            begun = time.monotonic()
            models[name].predict_encoded(evaluation.encoded)
            seconds[name].append(time.monotonic() - begun)
    student = evaluations["student"]
    metric = student.task.selection_metric
    values = {
        name: evaluation.metrics[f"eval_{metric}"]
        for name, evaluation in evaluations.items()
    }
    medians = {name: statistics.median(s) for name, s in seconds.items()}
    count = len(student.examples)
    return {
        **report,
        "metric": metric,
        **{f"{name}_{metric}": value for name, value in values.items()},
        "kept_share": values["student"] / values["teacher"]
        if values["teacher"]
        else None,
        "agreement": float(
            (
                student.predictions.argmax(1)
                == evaluations["teacher"].predictions.argmax(1)
            ).mean()
        ),
        **{
            f"{name}_texts_per_second": count / median
            for name, median in medians.items()
        },
        # Of each turn: what else the machine does changes between them.
        "speed_ratio": statistics.median(
            slow / fast
            for slow, fast in zip(
                seconds["teacher"], seconds["student"], strict=True
            )
        ),
    }


def build_loss(
    weights: LossWeights, teacher: keras.Model, student: keras.Model
) -> Callable:
    """Returns the student's loss for `train_step.build_step`."""

    def loss_fn(batch, keys):
        dropouts = classifier.dropouts(student, keys)
        logits, hidden = _outputs(student, batch, dropouts)
        teacher_logits, teacher_hidden = _outputs(
            teacher, batch, (no_dropout, no_dropout)
        )
        soft = tf.nn.softmax(teacher_logits / weights.temperature)
        losses = {
            # Softened, gradients shrink with the square of it.
            "soft": weights.temperature**2
            * keras.losses.kl_divergence(
                soft, tf.nn.softmax(logits / weights.temperature)
            ),
            "hard": tf.nn.sparse_softmax_cross_entropy_with_logits(
                batch["label"], logits
            ),
            "cosine": _cosine_loss(
                hidden, teacher_hidden, batch["padding_mask"]
            ),
        }
        shares = {
            "soft": weights.soft_weight,
            "hard": weights.hard_weight,
            "cosine": weights.cosine_weight,
        }
        loss = tf.add_n(
            [
                losses[name] * (weight / sum(shares.values()))
                for name, weight in shares.items()
            ]
        )
        predictions = tf.argmax(logits, axis=1, output_type=tf.int32)
        num_correct = (predictions == batch["label"]) & (batch["row"] >= 0)
        return (
            tf.reduce_sum(loss * batch["weight"]),
            tf.reduce_sum(tf.cast(num_correct, tf.float32)),
        )

    return loss_fn


def chosen_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Returns which layers of the teacher a student starts from.

    About every other one, the first and the last among them: of 12 DistilBERT
    takes 0, 2, 4, 7, 9, 11.
    """
    if not 0 < student_layers < teacher_layers:
        raise InputError(
            f"--num_layers={student_layers} must be from 1 to below the "
            f"teacher's {teacher_layers}"
        )
    step = (teacher_layers - 1) / max(student_layers - 1, 1)
    return [round(number * step) for number in range(student_layers)]


def build_student_backbone(
    teacher: keras_nlp.models.Backbone, *, num_layers: int
) -> keras_nlp.models.Backbone:
    """Returns a shallower backbone with weights of the teacher's."""
    layers = chosen_layers(teacher.num_layers, num_layers)
    config = {**backbones.own_config(teacher), "num_layers": num_layers}
    student = type(teacher)(**config)
    for own, source in zip(
        [*backbones.embedding_layers(student), student.pooled_dense],
        [*backbones.embedding_layers(teacher), teacher.pooled_dense],
        strict=True,
    ):
        own.set_weights(source.get_weights())
    for own, number in zip(student.transformer_layers, layers, strict=True):
        own.set_weights(teacher.transformer_layers[number].get_weights())
    return student


def copy_head(teacher: LoadedRun, student: keras.Model) -> None:
    """Gives a student the teacher's softmax layer."""
    student.get_layer("logits").set_weights(
        teacher.model.get_layer("logits").get_weights()
    )


def _outputs(model, batch, dropouts) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns logits <float32>[batch, classes] and the hidden states."""
    weights = classifier.classifier_weights(model)
    backbone_drop, head_drop = dropouts
    hidden = encoder.sequence_output(
        weights.encoder,
        batch,
        num_heads=classifier.backbone_of(model).num_heads,
        drop=backbone_drop,
    )
    if classifier.pooling_of(model) == classifier.MEAN:
        pooled = encoder.mean_of(hidden, batch["padding_mask"])
    else:
        pooled = tf.tanh(weights.encoder.pooler(hidden[:, 0]))
    pooled = head_drop(tf.cast(pooled, tf.float32), classifier.HEAD_SITE)
    return weights.logits(pooled), tf.cast(hidden, tf.float32)


def _cosine_loss(first, second, mask) -> tf.Tensor:
    """Returns <float32>[batch], the mean over the tokens of each text."""
    mask = tf.cast(mask, tf.float32)
    losses = 1.0 + keras.losses.cosine_similarity(first, second, axis=-1)
    return tf.reduce_sum(losses * mask, axis=1) / tf.reduce_sum(mask, axis=1)
