"""From a fine-tuned run to the run of a smaller student; sees every part."""

import dataclasses
import json
import os
import shutil
import statistics
import time
from collections.abc import Sequence

import keras
from absl import logging

from bert_tf import run_dir
from bert_tf.config.distillation import LossWeights
from bert_tf.config.training import TrainConfig
from bert_tf.data import encoding, examples
from bert_tf.data.splits import read_splits
from bert_tf.errors import InputError
from bert_tf.evaluation import evaluate as evaluate_lib
from bert_tf.inference import loaded_run, model_files
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import backbones, classifier, presets
from bert_tf.pretraining import distillation
from bert_tf.training import strategy as strategy_lib
from bert_tf.training import train as train_lib

# Both models predict the same texts by turns.
_TURNS = 9


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
    known = loaded_run.load(teacher)
    if known.task.name != "classification":
        raise InputError(
            f"--teacher={teacher} was trained with --task={known.task.name}; "
            "teachers of --task=classification can be distilled"
        )
    backbone = classifier.backbone_of(known.model)
    backbones.check_kind(
        type(backbone),
        [backbones.BERT, backbones.ELECTRA],
        f"--teacher={teacher}",
        "distillation",
    )
    num_layers = num_layers or max(1, backbone.num_layers // 2)
    distillation.chosen_layers(backbone.num_layers, num_layers)
    # Beside the run, for a run folder has to be new; --resume needs it.
    start = f"{config.output_dir.rstrip(os.sep)}.start"
    resuming = run_dir.check_output_dir(
        config.output_dir,
        overwrite=config.overwrite_output_dir,
        resume=config.resume,
    )
    if os.path.exists(start) and not resuming:
        shutil.rmtree(start)
    if not os.path.exists(start):
        with run_dir.staged(start) as aside:
            _write_start(aside, known, num_layers, unlabelled_file)
    texts = os.path.join(start, "unlabelled.jsonl")
    config = dataclasses.replace(
        config,
        preset=os.path.join(start, run_dir.PRESET),
        train_file=(
            *(() if unlabelled_only else config.train_file),
            *([texts] if os.path.exists(texts) else []),
        ),
    )

    def build_compute(student: keras.Model):
        distillation.copy_head(known, student)
        return distillation.build_loss(weights, known.model, student)

    train_lib.train(read_splits(config), config, build_compute=build_compute)
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
    shutil.rmtree(start)
    return report


def _write_start(folder, known: LoadedRun, num_layers, unlabelled_file) -> None:
    presets.save_preset(
        os.path.join(folder, run_dir.PRESET),
        distillation.build_student_backbone(
            classifier.backbone_of(known.model), num_layers=num_layers
        ),
        known.preprocessor.vocabulary,
    )
    if not unlabelled_file:
        return
    config = known.config
    part, _ = examples.read_examples(
        unlabelled_file, labelled=False, **config.text_columns()
    )
    segments = examples.segments(part)
    if known.has_pairs != (len(segments) == 2):
        raise InputError(
            "--unlabelled_file must have as many texts a row as the teacher's "
            "training files"
        )
    answers = _predictor(known)(
        encoding.encode(known.preprocessor, segments, stride=known.task.stride)
    ).argmax(axis=1)
    columns = [config.text_column, config.text_pair_column]
    with open(
        os.path.join(folder, "unlabelled.jsonl"), "w", encoding="utf-8"
    ) as file:
        for *texts, answer in zip(*segments, answers, strict=True):
            row = dict(zip(columns, texts, strict=False))
            row[config.label_column] = known.class_names[answer]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    logging.info("%d unlabelled texts got the teacher's answers.", len(part))


def _predictor(known: LoadedRun) -> KerasPredictor:
    return KerasPredictor(
        known.model,
        task=known.task,
        strategy=strategy_lib.build_strategy("one_device"),
        batch_size=known.config.eval_batch_size,
        pad_token_id=known.preprocessor.special_ids.padding,
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
        label_column=config.label_column,
        **config.text_columns(),
    )
    evaluations = {
        name: evaluate_lib.evaluate(
            loaded_run.open_model(path, batch_size=config.eval_batch_size),
            labelled,
        )
        for name, path in paths.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(_TURNS):
        for name, evaluation in evaluations.items():
            begun = time.monotonic()
            evaluation.model.predict_encoded(evaluation.encoded)
            seconds[name].append(time.monotonic() - begun)
    student = evaluations["student"]
    metric = student.model.task.selection_metric
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
                student.probabilities.argmax(1)
                == evaluations["teacher"].probabilities.argmax(1)
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
