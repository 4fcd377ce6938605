r"""Compiles the training step for a TPU, without a TPU, and says what it costs.

    pip install ".[tpu-check]"
    python -m pipelines.tpu_check --size=base --topology=v5e:2x2 \
        --train_batch_size=128 --max_seq_length=128 --mixed_precision=bfloat16
    python -m pipelines.tpu_check --preset=minilm_l6_en_uncased --examples=6090

The step is the one that pipelines.train runs. What comes out is whether the
TPU compiler takes it, its memory against the chip's, its FLOPs, and an estimate
of the time. Compiling takes minutes; no step is run.
"""

import json

from absl import flags

from bert_tf import quiet
from bert_tf.config.base import MIXED_PRECISION
from bert_tf.config.pretraining import MODEL_SIZES, model_shape
from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page

common_flags.define_text(preset=None)
with help_page.group("Model"):
    _SIZE = flags.DEFINE_enum(
        "size",
        None,
        list(MODEL_SIZES),
        "A BERT of this size instead of a --preset.",
    )
    _CLASSES = flags.DEFINE_integer("num_classes", 2, "Classes.", lower_bound=2)
with help_page.group("Training"):
    _TOPOLOGY = flags.DEFINE_string(
        "topology", "v5e:2x2", "Kind and arrangement of the chips."
    )
    _BATCH_SIZE = flags.DEFINE_integer(
        "train_batch_size",
        None,
        "Examples per step over all chips; by default 32 for each.",
    )
    _EXAMPLES = flags.DEFINE_integer(
        "examples",
        None,
        "Training rows, to estimate the time of the whole run.",
    )
    flags.DEFINE_integer(
        "num_train_epochs", 3, "Passes over the training rows."
    )
    flags.DEFINE_enum(
        "mixed_precision",
        "bfloat16",
        MIXED_PRECISION,
        "Precision of the products.",
    )
with help_page.group("Output"):
    _LARGEST = flags.DEFINE_boolean(
        "largest_batch",
        False,
        "Also double the batch until it no longer fits, compiling each time "
        "(not with --json).",
    )
    _JSON = flags.DEFINE_boolean("json", False, "Print JSON.")
with help_page.group("Advanced"):
    flags.DEFINE_float("dropout", 0.1, "Dropout rate.")
    flags.DEFINE_integer("accumulate_steps", 1, "Pieces of a batch.")


def main(argv: list[str]) -> None:
    """Compiles and reports."""
    del argv
    if (_SIZE.value is None) == (flags.FLAGS.preset is None):
        raise InputError("give one of --size and --preset")
    names = (
        "max_seq_length", "num_train_epochs", "dropout", "accumulate_steps",
        "mixed_precision",
    )  # fmt: skip
    config = TrainConfig(
        train_file=("none",),
        output_dir="none",
        **{name: flags.FLAGS[name].value for name in names},
    )
    with quiet.imports():
        from bert_tf.diagnostics import tpu_check
        from bert_tf.diagnostics.tpu_compiler import OutOfMemoryError
        from bert_tf.presets import presets
    tpu_check.chip_of(_TOPOLOGY.value)
    chips = tpu_check.count_chips(_TOPOLOGY.value)
    batch_size = _BATCH_SIZE.value or 32 * chips
    if batch_size % (chips * config.accumulate_steps):
        raise InputError(
            f"--train_batch_size={batch_size} must be divisible by the "
            f"{chips} chips (times --accumulate_steps)"
        )
    if _SIZE.value:
        backbone = tpu_check.build_backbone(
            model_shape(_SIZE.value), config=config
        )
    else:
        preset = presets.resolve(flags.FLAGS.preset)
        preset.check_length(config.max_seq_length, preset.max_positions)
        backbone = preset.build_backbone(
            dropout=config.backbone_dropout, dtype=config.dtype_policy
        )
    settings = {
        "topology": _TOPOLOGY.value,
        "num_classes": _CLASSES.value,
    }
    try:
        estimate = tpu_check.estimate(
            backbone, config, batch_size=batch_size // chips, **settings
        )
    except OutOfMemoryError as error:
        raise InputError(
            f"{batch_size // chips} texts of {config.max_seq_length} tokens "
            f"do not fit a chip: {error}. Lower --train_batch_size, or raise "
            "--accumulate_steps"
        ) from None
    if _JSON.value:
        print(
            json.dumps(tpu_check.to_json(estimate, _TOPOLOGY.value), indent=2)
        )
    else:
        print(
            tpu_check.describe(
                estimate,
                config,
                topology=_TOPOLOGY.value,
                examples=_EXAMPLES.value,
            )
        )
    if _LARGEST.value and not _JSON.value:
        largest = tpu_check.largest_batch(
            backbone, config, start=batch_size // chips, **settings
        )
        print(f"  largest batch a chip    {largest} (by doubling)")


if __name__ == "__main__":
    app.run_script(main)
