"""Pretrains a model: from raw text to a run folder."""

import dataclasses
import math
import os

import keras
from absl import logging

from bert_tf import run_dir
from bert_tf.config.pretraining import PretrainConfig, parse_duration
from bert_tf.errors import InputError
from bert_tf.models import backbones
from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.presets import presets
from bert_tf.pretraining import budget, documents, initialization, masking
from bert_tf.pretraining import corpus as corpus_lib
from bert_tf.pretraining.batches import Batches
from bert_tf.pretraining.budget import Budget
from bert_tf.pretraining.evaluation import Evaluator
from bert_tf.pretraining.metric_writer import MetricWriter
from bert_tf.pretraining.trainer import PretrainingState, PretrainingTrainer
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.training import new_run
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.preemption import PreemptionHandler

# The held-out split is of the same seed in every run of a corpus, so that runs
# with other seeds can be compared.
_HELD_OUT_SEED = 0


def pretrain(config: PretrainConfig) -> dict:
    """Pretrains a backbone and writes the run folder config.output_dir.

    Returns:
        What metrics.json holds.

    Raises:
        InputError: the settings or the data are wrong.
        InterruptedTrainingError: SIGTERM came; the same call resumes.
    """
    strategy = strategy_lib.build_strategy(
        config.distribution_strategy, tpu=config.tpu
    )
    with strategy_lib.telling_of_lost_workers(strategy):
        return _pretrain(config, strategy)


def _pretrain(config: PretrainConfig, strategy) -> dict:
    _check_surroundings(config, strategy)
    resuming = new_run.check(config, strategy)
    preset, vocabulary = initialization.read_vocabulary(
        preset=config.preset,
        vocab_file=config.vocab_file,
        max_seq_length=config.max_seq_length,
    )
    backbones.set_precision(config.mixed_precision)
    keras.utils.set_random_seed(config.seed)
    preprocessor = Preprocessor(
        vocabulary, sequence_length=config.max_seq_length
    )
    corpora = _read_corpora(config, preprocessor)
    for name, corpus in corpora.items():
        logging.info("%s: %s", name, corpus.describe())
    batches = {
        name: _batches(config, vocabulary, corpus, name == "train")
        for name, corpus in corpora.items()
    }
    with strategy.scope():
        pretrainer = initialization.build_model(
            preset,
            vocabulary,
            shape={} if preset else config.shape(),
            max_seq_length=config.max_seq_length,
            dropout=config.dropout,
            dtype=config.dtype_policy,
            has_pairs=config.has_pairs,
        )
    if config.learning_rate is None:
        rate = initialization.default_learning_rate(
            pretrainer.backbone, has_checkpoint=preset is not None
        )
        config = dataclasses.replace(config, learning_rate=rate)
    # Where there is too little text, InputError comes here.
    rows = {name: part.rows for name, part in batches.items()}
    state = PretrainingState(
        data={name: part.fingerprint() for name, part in corpora.items()}
    )
    if resuming:
        new_run.check_settings(config)
    elif strategy_lib.is_chief(strategy):
        with new_run.begin(config, vocabulary, pretrainer.backbone):
            pass
    limit = budget.matrix_product_limit(config.mixed_precision)
    logging.info(
        "Model: %.1f M parameters, learning rate %g, %s; %s rows per epoch, %s "
        "of %d a step; matrix products at most %.0f GFLOP/s; %s",
        backbones.count_parameters(pretrainer.backbone) / 1e6,
        config.learning_rate,
        config.objective,
        f"{rows['train']:,}",
        "pairs" if config.has_pairs else "full sequences",
        config.train_batch_size,
        limit / 1e9,
        strategy_lib.describe_devices(strategy),
    )
    trainer = _build_trainer(config, strategy, pretrainer, batches, limit)
    with run_dir.locked(config.output_dir), PreemptionHandler() as preemption:
        if resuming:
            state = new_run.resume(trainer.checkpoints, state, strategy)
        outcome = trainer.run(state, preemption)
        metrics = _metrics(config, state, outcome, limit, strategy)
        if trainer.is_chief:
            _write_results(config, vocabulary, pretrainer, metrics)
        trainer.delete_state()
    return metrics


def _build_trainer(
    config: PretrainConfig, strategy, pretrainer, batches, limit: float
) -> PretrainingTrainer:
    """Builds the optimizer and what the trainer calls."""
    with strategy.scope():
        optimizer = optimizer_lib.build_optimizer(
            variables=pretrainer.model.trainable_variables,
            # Set before each step, as a budget may be one of time.
            learning_rate=0.0,
            weight_decay=config.weight_decay,
            mixed_precision=config.mixed_precision,
            num_replicas=strategy.num_replicas_in_sync,
            fused=strategy_lib.fuses_updates(strategy, config.jit_compile),
        )
    flops_per_token = pretrainer_lib.training_flops_per_token(
        pretrainer.backbone,
        sequence_length=config.max_seq_length,
        max_predictions=batches["train"].max_predictions,
    )
    return PretrainingTrainer(
        pretrainer=pretrainer,
        optimizer=optimizer,
        strategy=strategy,
        batches=batches["train"],
        evaluator=Evaluator(
            pretrainer, batches["validation"], strategy=strategy
        ),
        budget=_budget(config, batches["train"].steps),
        learning_rate=config.learning_rate,
        learning_rate_schedule=config.learning_rate_schedule,
        warmup_proportion=config.warmup_proportion,
        metric_writer=MetricWriter(
            config.output_dir, tokens_limit=limit / flops_per_token
        ),
        output_dir=config.output_dir,
        checkpoint_seconds=config.checkpoint_seconds,
        log_steps=config.log_steps,
        eval_steps=config.eval_steps,
        seed=config.seed,
        accumulate_steps=config.accumulate_steps,
        jit_compile=config.jit_compile == "true",
    )


def _check_surroundings(config: PretrainConfig, strategy) -> None:
    run_dir.check_is_local(config.output_dir)
    if strategy_lib.has_workers(strategy):
        raise InputError(
            "pretraining runs in one process so far, on one device or on all "
            "GPUs of a machine (--distribution_strategy=mirrored)"
        )


def _read_corpora(config: PretrainConfig, preprocessor: Preprocessor) -> dict:
    def read(patterns):
        return documents.read_documents(patterns, config.read_options())

    train, held_out = corpus_lib.read_corpora(
        preprocessor,
        read(config.train_file),
        held_out_share=0.0
        if config.validation_file
        else config.validation_split,
        seed=_HELD_OUT_SEED,
        needs_held_out=not config.validation_file,
    )
    if config.validation_file:
        held_out = corpus_lib.read_corpus(
            preprocessor, read(config.validation_file)
        )
    return {"train": train, "validation": held_out}


def _batches(config, vocabulary, corpus, trains: bool) -> Batches:
    return Batches(
        corpus=corpus,
        vocabulary=vocabulary,
        has_pairs=config.has_pairs,
        sequence_length=config.max_seq_length,
        batch_size=(
            config.train_batch_size if trains else config.eval_batch_size
        ),
        max_predictions=config.max_predictions_per_seq
        or masking.default_max_predictions(config.max_seq_length),
        whole_words=config.whole_word_masking,
        seed=config.seed if trains else _HELD_OUT_SEED,
        max_rows=None if trains else config.max_eval_samples,
    )


def _budget(config: PretrainConfig, steps_an_epoch: int) -> Budget:
    if config.time_budget is not None:
        return Budget(seconds=parse_duration(config.time_budget))
    if config.max_steps is not None:
        return Budget(steps=config.max_steps)
    return Budget(steps=config.num_train_epochs * steps_an_epoch)


def _metrics(config, state, outcome, limit, strategy) -> dict:
    first, last = state.history[0], state.history[-1]
    return {
        "schema_version": 1,
        **{key: last[key] for key in last if key.startswith("eval_")},
        "first": {key: first[key] for key in first if key.startswith("eval_")},
        **{
            key: value
            for key, value in outcome.items()
            if value is None or math.isfinite(value)
        },
        "matrix_product_limit_flops": limit,
        "data": state.data,
        "objective": config.objective,
        "seed": config.seed,
        "strategy": type(strategy).__name__,
        "replicas": strategy.num_replicas_in_sync,
        "mixed_precision": config.mixed_precision,
        "versions": new_run.versions(),
    }


def _write_results(config, vocabulary, pretrainer, metrics) -> None:
    folder = os.path.join(config.output_dir, run_dir.PRESET)
    if not os.path.exists(folder):
        with run_dir.staged(folder) as aside:
            presets.save_preset(
                aside,
                pretrainer.masked_lm,
                vocabulary,
                has_pooler=config.has_pairs,
            )
    run_dir.write_json(
        os.path.join(config.output_dir, run_dir.METRICS), metrics
    )
