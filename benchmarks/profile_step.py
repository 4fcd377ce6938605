"""Where the time of a training step and of one text's answer goes.

    python -m benchmarks.profile_step

Each row does what the row above does and something more; all are timed by
turns. The matrix products are those of the step, on random numbers: what is
left when everything else is for free.
"""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags

from bert_tf.models import classifier
from bert_tf.models.dropout import dropout_keys
from bert_tf.presets import presets
from bert_tf.tasks.classification import Classification
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training import train_step

_PRESET = flags.DEFINE_string(
    "preset", "minilm_l6_en_uncased", "The checkpoint."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Texts a step.")
_LENGTH = flags.DEFINE_integer("length", 33, "Tokens a text: tweets have 33.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "How often each is timed.")
_DROPOUT = 0.1


def main(argv: list[str]) -> None:
    """Prints milliseconds: median and quartiles."""
    del argv
    preset = presets.resolve(_PRESET.value)
    model = classifier.build_classifier(
        preset.build_backbone(dropout=_DROPOUT, dtype="float32"),
        num_classes=2,
        dropout=_DROPOUT,
    )
    step = batch(_BATCH_SIZE.value, _LENGTH.value)
    show(
        f"A training step, {_BATCH_SIZE.value} x {_LENGTH.value} tokens",
        {
            "matrix products alone": products(model, step, backward=True),
            "loss": compiled(model, step, gradients=False, dropout=False),
            "loss, gradients": compiled(
                model, step, gradients=True, dropout=False
            ),
            "loss, gradients, dropout": compiled(
                model, step, gradients=True, dropout=True
            ),
            "with AdamW: the whole": whole_step(model, step),
        },
    )
    half = batch(_BATCH_SIZE.value, _LENGTH.value, is_half_padding=True)
    show(
        "The same, half of it padding: the loss and its gradients",
        {
            name: compiled(
                model, half, gradients=True, dropout=True, skip_padding=skips
            )
            for name, skips in (("padded", False), ("skip_padding", True))
        },
    )
    one = batch(1, _LENGTH.value)
    show(
        f"One text of {_LENGTH.value} tokens",
        {
            "matrix products alone": products(model, one, backward=False),
            "logits": compiled(model, one, gradients=False, dropout=False),
        },
    )


def batch(
    rows: int, length: int, *, is_half_padding: bool = False
) -> dict[str, tf.Tensor]:
    """Returns random token ids, as a batch of `input_pipeline.build_dataset`.

    Texts are of the same length, or from nothing but [CLS] to that.
    """
    shape = [rows, length]
    lengths = tf.fill([rows], length)
    if is_half_padding:
        lengths = tf.cast(tf.linspace(1, length, rows), tf.int32)
    return {
        "token_ids": tf.random.uniform(shape, 1000, 20_000, tf.int32),
        "segment_ids": tf.zeros(shape, tf.int32),
        "padding_mask": tf.sequence_mask(lengths, length, tf.int32),
        "label": tf.zeros([rows], tf.int32),
        "weight": tf.fill([rows], 1 / rows),
        "row": tf.range(rows),
    }


def products(
    model, inputs: dict, *, backward: bool
) -> Callable[[], list[tf.Tensor]]:
    """Returns a function that computes matrix products of the step's shapes.

    The last layer's are those of [CLS], but for keys and values.
    """
    backbone = classifier.backbone_of(model)
    rows, length = inputs["token_ids"].shape
    width, inner = backbone.hidden_dim, backbone.intermediate_dim
    heads = backbone.num_heads
    head = width // heads
    operands = []
    for number in range(backbone.num_layers):
        asking = length if number < backbone.num_layers - 1 else 1
        shapes = [
            ([rows * length], width, 2 * width),
            ([rows * asking], width, width),
            ([rows, heads, asking], head, length),
            ([rows, heads, asking], length, head),
            ([rows * asking], width, width),
            ([rows * asking], width, inner),
            ([rows * asking], inner, width),
        ]
        for left, depth, right in shapes:
            operands.append(
                (
                    tf.random.normal([*left, depth]),
                    tf.random.normal([*left[:-1], depth, right]),
                    tf.random.normal([*left, right]),
                )
            )

    @tf.function(autograph=False)
    def compute(operands):
        results = []
        for a, b, upstream in operands:
            results.append(tf.matmul(a, b))
            if backward:
                results.append(tf.matmul(upstream, b, transpose_b=True))
                results.append(tf.matmul(a, upstream, transpose_a=True))
        return results

    return lambda: compute(operands)


def compiled(
    model,
    inputs: dict,
    *,
    gradients: bool,
    dropout: bool,
    skip_padding: bool = False,
) -> Callable[[], object]:
    """Returns a function that computes the loss, or its gradients."""

    @tf.function(autograph=False)
    def compute():
        drops = {}
        if dropout:
            keys = dropout_keys(1, tf.constant(0), inputs["row"])
            drops["dropouts"] = classifier.dropouts(model, keys)
        with tf.GradientTape() as tape:
            outputs = classifier.classify(
                classifier.classifier_weights(model),
                {
                    name: inputs[name]
                    for name in ("token_ids", "segment_ids", "padding_mask")
                },
                num_heads=classifier.backbone_of(model).num_heads,
                skip_padding=skip_padding,
                **drops,
            )
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                inputs["label"], outputs["logits"]
            )
            loss = tf.reduce_mean(losses)
        if not gradients:
            return loss
        return tape.gradient(
            loss, [variable.value for variable in model.trainable_variables]
        )

    return compute


def whole_step(model, inputs: dict) -> Callable[[], object]:
    """Returns the training step that `pipelines.train` runs."""
    optimizer = optimizer_lib.build_optimizer(
        variables=model.trainable_variables,
        learning_rate=1e-6,
        weight_decay=0.01,
        mixed_precision="float32",
        fused=True,
    )
    spec = {
        name: tf.TensorSpec(value.shape, value.dtype)
        for name, value in inputs.items()
    }
    step = train_step.build_train_step(
        strategy=tf.distribute.get_strategy(),
        task=Classification(("no", "yes")),
        model=model,
        optimizer=optimizer,
        element_spec=spec,
        seed=1,
    )
    return lambda: step(inputs)


def show(title: str, functions: dict[str, Callable[[], object]]) -> None:
    """Times the functions by turns and prints a table."""
    times = {name: [] for name in functions}
    for number in range(_ROUNDS.value + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            # The first time it is traced.
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    print(title)
    for name, values in times.items():
        low, median, high = np.percentile(values, [25, 50, 75])
        print(f"  {name:<28}{median:>8.1f} ms  ({low:.1f}-{high:.1f})")


if __name__ == "__main__":
    app.run(main)
