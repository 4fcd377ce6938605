"""Compiles the training step for a TPU and estimates its cost."""

import dataclasses
import math

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf.config.training import TrainConfig
from bert_tf.data import input_pipeline
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.diagnostics import tpu_compiler
from bert_tf.diagnostics.tpu_compiler import Compiled, OutOfMemoryError
from bert_tf.errors import InputError
from bert_tf.models import encoder
from bert_tf.tasks import head
from bert_tf.tasks.classification import Classification
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import schedules, train_step

# Peak bfloat16 FLOP/s and bytes of memory of what the compiler calls a device:
# a chip, or for v2 and v3 a core. From cloud.google.com/tpu/docs/system-
# architecture-tpu-vm.
_CHIPS = {
    "v2": (22.5e12, 8 * 2**30),
    "v3": (61.5e12, 16 * 2**30),
    "v4": (275e12, 32 * 2**30),
    "v5e": (197e12, 16 * 2**30),
    "v5p": (459e12, 95 * 2**30),
    "v6e": (918e12, 32 * 2**30),
}
# The share of the peak that the estimates assume. What runs of BERT in other
# frameworks reach is 0.3 to 0.6; nothing here was measured on a TPU.
UTILIZATION = 0.4


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one step at one batch size costs a chip.

    Attributes:
        batch_size: texts per step and chip.
        compiled: what the compiler says.
        paper_flops: `flops_on_paper`.
        step_seconds: FLOPs over the peak at UTILIZATION.
    """

    batch_size: int
    compiled: Compiled
    paper_flops: float
    step_seconds: float


def chip_of(topology: str) -> tuple[float, int]:
    """Returns the peak FLOP/s and the bytes of a topology's chips."""
    chip = topology.split(":")[0]
    if chip not in _CHIPS:
        raise InputError(
            f"--topology={topology}: known chips are {', '.join(_CHIPS)}, "
            "as in v5e:2x2"
        )
    return _CHIPS[chip]


def count_chips(topology: str) -> int:
    """Returns how many chips an arrangement such as 2x2 or 2x2x1 has."""
    try:
        return math.prod(map(int, topology.split(":")[1].split("x")))
    except (IndexError, ValueError):
        raise InputError(
            f"--topology={topology}: name kind and arrangement, as in v5e:2x2"
        ) from None


def lower_train_step(
    backbone: keras_nlp.models.BertBackbone,
    config: TrainConfig,
    *,
    batch_size: int,
    num_classes: int,
) -> bytes:
    """Returns the training step as StableHLO, shapes fixed.

    Args:
        backbone: of any weights; no step is run.
        config: dropout, length, precision, optimizer.
        batch_size: texts of one chip.
        num_classes: width of the head.
    """
    task = Classification(tuple(map(str, range(num_classes))))
    model = head.build_model(
        task,
        backbone,
        dropout=config.dropout,
        freeze_backbone=config.freeze_backbone,
    )
    optimizer = optimizer_lib.build_optimizer(
        variables=model.trainable_variables,
        learning_rate=schedules.build_schedule(
            config, peak=config.learning_rate or 2e-5, steps=1000
        ),
        weight_decay=config.weight_decay,
        mixed_precision=config.mixed_precision,
    )
    # What the input pipeline gives on a TPU.
    ones = np.ones(batch_size, np.int32)
    spec = input_pipeline.build_dataset(
        EncodedTexts(ones, np.arange(batch_size + 1), ones, ones),
        [np.arange(batch_size)],
        batch_size=batch_size,
        pad_token_id=0,
        fixed_length=config.max_seq_length,
    ).element_spec
    step = train_step.build_train_step(
        strategy=tf.distribute.get_strategy(),
        task=task,
        model=model,
        optimizer=optimizer,
        element_spec=spec,
        seed=config.seed,
        accumulate_steps=config.accumulate_steps,
    )
    compiled = tf.function(step, jit_compile=True, autograph=False)
    return tpu_compiler.stable_hlo(compiled.get_concrete_function(spec))


def flops_on_paper(
    backbone: keras_nlp.models.BertBackbone, tokens: int, length: int
) -> float:
    """Returns the FLOPs of a training step, counted by hand.

    In the last layer all tokens have a key and a value, and only [CLS] the
    rest.
    """
    layer = encoder.layer_training_flops(backbone, length)
    keys_and_values = 6 * 2 * backbone.hidden_dim**2
    full_layers = backbone.num_layers - 1
    return float(
        tokens * (full_layers * layer + keys_and_values)
        + tokens / length * (layer - keys_and_values)
    )


def estimate(
    backbone: keras_nlp.models.BertBackbone,
    config: TrainConfig,
    *,
    topology: str,
    batch_size: int,
    num_classes: int,
) -> Estimate:
    """Compiles one step.

    Raises:
        OutOfMemoryError: a chip has too little memory.
        InputError, InstallationError: as for `compile_for_tpu`.
    """
    peak, _ = chip_of(topology)
    program = lower_train_step(
        backbone, config, batch_size=batch_size, num_classes=num_classes
    )
    compiled = tpu_compiler.compile_for_tpu(program, topology)
    return Estimate(
        batch_size=batch_size,
        compiled=compiled,
        paper_flops=flops_on_paper(
            backbone, batch_size * config.max_seq_length, config.max_seq_length
        ),
        step_seconds=compiled.flops / (peak * UTILIZATION),
    )


def largest_batch(
    backbone: keras_nlp.models.BertBackbone,
    config: TrainConfig,
    *,
    topology: str,
    start: int,
    num_classes: int,
) -> int | None:
    """Doubles the batch of a chip until the compiler refuses it.

    Returns:
        The largest that fits, or None if `start` does not.
    """
    fits = None
    size = start
    while True:
        try:
            estimate(
                backbone,
                config,
                topology=topology,
                batch_size=size,
                num_classes=num_classes,
            )
        except OutOfMemoryError:
            return fits
        fits, size = size, 2 * size


def describe(
    estimated: Estimate,
    config: TrainConfig,
    *,
    topology: str,
    examples: int | None,
) -> str:
    """Returns the estimate as lines for a terminal."""
    _, memory = chip_of(topology)
    compiled = estimated.compiled
    chips = compiled.chips
    rate = estimated.batch_size * chips / estimated.step_seconds
    lines = [
        f"{topology} ({compiled.device_kind}, {chips} chips), "
        f"{estimated.batch_size} texts of {config.max_seq_length} tokens per "
        f"chip, {config.mixed_precision}",
        f"  compiles                yes, in {compiled.seconds:.0f} s",
        f"  peak memory a chip      {compiled.peak_bytes / 2**30:.2f} of "
        f"{memory / 2**30:.0f} GiB",
        f"  FLOPs per step and chip {compiled.flops / 1e12:.4f} T; on paper "
        f"{estimated.paper_flops / 1e12:.4f} T "
        f"({compiled.flops / estimated.paper_flops - 1:+.1%})",
        f"  bytes per step          {compiled.bytes_accessed / 1e9:.2f} GB, "
        "counted before fusion",
        f"  texts/s                 about {rate:,.0f}, if {UTILIZATION:.0%} of "
        "the peak is reached and chips cost one another nothing",
    ]
    if examples:
        seconds = examples * config.num_train_epochs / rate
        lines.append(
            f"  your run                about {math.ceil(seconds / 60)} min "
            f"for {config.num_train_epochs} epochs of {examples:,} texts, "
            "compiling and reading not counted"
        )
    lines.append("  Compiled, not run: no TPU was used.")
    return "\n".join(lines)


def to_json(estimated: Estimate, topology: str) -> dict:
    """Returns the estimate for programs."""
    peak, memory = chip_of(topology)
    return {
        "topology": topology,
        "chip_memory_bytes": memory,
        "chip_peak_flops": peak,
        "utilization": UTILIZATION,
        "texts_per_second": estimated.batch_size
        * estimated.compiled.chips
        / estimated.step_seconds,
        **dataclasses.asdict(estimated),
    }


def build_backbone(
    shape: dict[str, int], *, config: TrainConfig
) -> keras_nlp.models.BertBackbone:
    """Builds a BERT of a shape, see `model_shape`, with random weights."""
    return keras_nlp.models.BertBackbone(
        vocabulary_size=30522,
        **shape,
        max_sequence_length=max(512, config.max_seq_length),
        dropout=config.backbone_dropout,
        dtype=keras.dtype_policies.get(config.dtype_policy),
    )
