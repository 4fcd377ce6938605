r"""Pretrains BERT on raw text, from scratch or on from a checkpoint.

    python -m pipelines.pretrain --train_file="corpus/*.txt" \
        --vocab_file=vocabulary/vocab.txt --model_size=tiny \
        --time_budget=20m --output_dir=runs/language
    python -m pipelines.train --preset=runs/language --train_file=train.csv ...

--max_steps=0 writes the model as it starts: random weights to compare with.
"""

from absl import flags, logging

from bert_tf import quiet, run_dir
from bert_tf.config import pretraining as pretrain_config
from pipelines import app, common_flags, help_page, training_flags

common_flags.define_raw_text()
training_flags.define()
with help_page.group("Data"):
    flags.DEFINE_list(
        "validation_file",
        [],
        "Raw text that is held out, to measure on. Default: a part of the "
        "training documents, see --validation_split.",
    )
with help_page.group("Model"):
    flags.DEFINE_string(
        "preset",
        None,
        "Checkpoint to start from, as in pipelines.train; a run of this script "
        "too. Without it training starts from random weights.",
    )
    flags.DEFINE_string(
        "vocab_file",
        None,
        "From scratch: a vocab.txt of pipelines.build_vocabulary; the "
        "tokenizer_config.json beside it says whether it is uncased.",
    )
    flags.DEFINE_enum(
        "model_size",
        None,
        list(pretrain_config.MODEL_SIZES),
        "From scratch: layers x width of the published models: tiny 2x128, "
        "mini 4x256, small 4x512, medium 8x512, base 12x768, large 24x1024.",
    )
    flags.DEFINE_integer(
        "max_seq_length",
        128,
        "Tokens of a sequence, special ones included. From scratch it is also "
        "the longest that the model will know.",
    )
with help_page.group("Training"):
    flags.DEFINE_enum(
        "objective",
        "mlm+nsp",
        pretrain_config.OBJECTIVES,
        "mlm+nsp: masked words, and whether the second text follows the first "
        "(BERT); mlm: masked words alone, on full sequences (RoBERTa).",
    )
    flags.DEFINE_integer(
        "num_train_epochs", None, "Budget: passes over the text."
    )
    flags.DEFINE_integer("max_steps", None, "Budget: steps.")
    flags.DEFINE_string(
        "time_budget",
        None,
        "Budget: time for training and evaluation together (24h, 90m, 1h30m); "
        "the learning rate follows the clock and ends at 0 when it does, "
        "after an interruption too.",
    )
    flags.DEFINE_integer(
        "train_batch_size",
        64,
        "Sequences a training step, over all replicas together.",
    )
    flags.DEFINE_float(
        "learning_rate",
        None,
        "Peak learning rate. Default from scratch: 1e-3 below 15 M parameters, "
        "5e-4 below 60 M, else 1e-4; from a checkpoint 5e-5 at most.",
    )
with help_page.group("Advanced"):
    flags.DEFINE_float(
        "validation_split",
        0.05,
        "Share of the documents that is held out where there is no "
        "--validation_file; equal documents stay on one side.",
    )
    flags.DEFINE_integer(
        "num_layers", None, "From scratch: instead of the size's."
    )
    flags.DEFINE_integer("hidden_size", None, "From scratch: width.")
    flags.DEFINE_integer(
        "num_attention_heads", None, "From scratch. Default: heads 64 wide."
    )
    flags.DEFINE_integer(
        "intermediate_size", None, "From scratch. Default: 4 times the width."
    )
    flags.DEFINE_integer(
        "max_predictions_per_seq",
        None,
        "Masked tokens of a sequence at most. Default: 15% of the length and "
        "4.",
    )
    flags.DEFINE_boolean(
        "whole_word_masking", False, "Mask all pieces of a word, or none."
    )
    flags.DEFINE_integer(
        "eval_batch_size",
        64,
        "Sequences a step in evaluation, over all replicas together.",
    )
    flags.DEFINE_integer(
        "max_eval_samples",
        1000,
        "Evaluate on so many held-out sequences at most.",
    )
    flags.DEFINE_integer(
        "eval_steps", None, "Steps between evaluations. Default: an epoch."
    )
    flags.DEFINE_float(
        "warmup_proportion",
        0.1,
        "Share of the budget in which the learning rate rises.",
    )
    common_flags.define_schedule()
    flags.DEFINE_float("dropout", 0.1, "Dropout rate in the backbone.")


def main(argv: list[str]) -> None:
    """Pretrains with the flags' settings."""
    del argv
    from bert_tf.pretraining import documents

    config = common_flags.config_from_flags(pretrain_config.PretrainConfig)
    run_dir.check_is_local(config.output_dir)
    run_dir.check_output_dir(
        config.output_dir,
        overwrite=config.overwrite_output_dir,
        resume=config.resume,
    )
    for files in (config.train_file, config.validation_file):
        documents.check_files(files, config.read_options())
    with quiet.imports():
        from bert_tf.pretraining import pretrain as pretrain_lib
    metrics = pretrain_lib.pretrain(config)
    print(describe(metrics))
    logging.info(
        "The run is in %s. Next:\n  %s --model=%s "
        '"... [MASK] ..."\n  %s --preset=%s '
        "--train_file=FILE --output_dir=RUN",
        config.output_dir,
        app.command("fill_mask"),
        config.output_dir,
        app.command("train"),
        config.output_dir,
    )


def describe(metrics: dict) -> str:
    """Returns the held-out metrics before and after as a table."""
    lines = [f"{'held out':<14}{'at the start':>14}{'at the end':>14}"]
    for name, before in metrics["first"].items():
        words = name.removeprefix("eval_").replace("_", " ")
        lines.append(f"{words:<14}{before:>14.4f}{metrics[name]:>14.4f}")
    lines.append(
        f"{metrics['train_steps']:,} steps, {metrics['train_tokens']:,.0f} "
        f"tokens in {metrics['train_runtime']:,.0f} s: "
        f"{metrics['train_tokens_per_second']:,.0f} tokens/s"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    app.run_script(main, required=["train_file", "output_dir"])
