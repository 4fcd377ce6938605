"""One device and two replicas give the same losses, weights and answers."""

import keras
import numpy as np
import pytest

from bert_tf.data import encoding, input_pipeline
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.models import classifier
from bert_tf.tasks.classification import Classification
from bert_tf.training import contrastive, strategy, train_step
from bert_tf.training import optimizer as optimizer_lib
from tests.conftest import review_rows, tiny_backbone

BATCH_SIZE = 8
TASK = Classification(("a", "b"))


@pytest.fixture(scope="module")
def encoded(preprocessor):
    texts = [text for text, _ in review_rows(29)]
    return encoding.encode(preprocessor, (texts,))


def build(
    encoded, name="one_device", dropout=0.1, accumulate_steps=1,
    jit_compile="auto", is_contrastive=False,
):  # fmt: skip
    """Returns the strategy, the model, its training step and the batches."""
    keras.utils.set_random_seed(5)
    labels = np.arange(29, dtype=np.int32) % 2
    plan = input_pipeline.plan_training_epoch(
        encoded.lengths, batch_size=BATCH_SIZE, seed=1, epoch=0
    )
    dataset = input_pipeline.build_dataset(
        encoded, plan, batch_size=BATCH_SIZE, pad_token_id=0, labels=labels
    )
    replicas = strategy.build_strategy(name)
    with replicas.scope():
        model = classifier.build_classifier(
            tiny_backbone(dropout=dropout), num_classes=2, dropout=dropout
        )
        model.optimizer = optimizer_lib.build_optimizer(
            variables=model.trainable_variables,
            learning_rate=1e-2,
            weight_decay=0.01,
            mixed_precision="float32",
            num_replicas=replicas.num_replicas_in_sync,
            fused=strategy.fuses_updates(replicas, jit_compile),
        )
    batches = replicas.experimental_distribute_dataset(dataset)
    step = train_step.build_train_step(
        strategy=replicas,
        task=TASK,
        model=model,
        optimizer=model.optimizer,
        element_spec=batches.element_spec,
        seed=3,
        accumulate_steps=accumulate_steps,
        jit_compile=jit_compile == "true",
        loss_fn=contrastive.build_loss_fn(TASK, model, skip_padding=True)
        if is_contrastive
        else None,
    )
    return replicas, model, step, batches


def train(encoded, name, *settings):
    replicas, model, step, batches = build(encoded, name, 0.1, *settings)
    results = [
        [float(value) for value in step(batch)]
        for _ in range(5)
        for batch in batches
    ]
    predict = KerasPredictor(
        model,
        task=TASK,
        strategy=replicas,
        batch_size=BATCH_SIZE,
        pad_token_id=0,
    )
    return np.array(results), model.get_weights(), predict(encoded)


@pytest.fixture(scope="module")
def one(encoded):
    return train(encoded, "one_device")


@pytest.mark.parametrize(
    "name, accumulate_steps, jit_compile",
    [
        pytest.param("mirrored", 1, "auto", marks=pytest.mark.slow),
        ("one_device", 4, "auto"),
        pytest.param("mirrored", 2, "auto", marks=pytest.mark.slow),
        # XLA compiles the step for each length.
        pytest.param("one_device", 1, "true", marks=pytest.mark.slow),
        ("one_device", 1, "false"),
    ],
)
def test_all_ways_equal_one_device(
    encoded, one, name, accumulate_steps, jit_compile
):
    two = train(encoded, name, accumulate_steps, jit_compile)
    assert one[0][-4:, 0].mean() < one[0][:4, 0].mean()  # it does learn
    np.testing.assert_allclose(one[0], two[0], atol=2e-5)
    for left, right in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(left, right, atol=2e-4)
    np.testing.assert_allclose(one[2], two[2], atol=2e-4)


@pytest.mark.slow
def test_pairs_are_of_all_replicas(encoded):
    """The contrastive loss of two replicas is that of one device."""
    (one, weights, _), (two, others, _) = (
        train(encoded, name, 1, "auto", True)
        for name in ("one_device", "mirrored")
    )
    assert one[-4:, 0].mean() < one[:4, 0].mean()
    np.testing.assert_allclose(one, two, atol=2e-5)
    for left, right in zip(weights, others, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-4)


def test_all_lengths_share_one_graph(encoded):
    """A new length costs no tracing, and no compilation by XLA."""
    _, _, step, batches = build(encoded)
    for batch in batches:
        step(batch)
    assert len({batch["token_ids"].shape[1] for batch in batches}) > 1
    assert step.experimental_get_tracing_count() == 1


def test_predictions_are_in_row_order(encoded):
    model = classifier.build_classifier(
        tiny_backbone(), num_classes=3, dropout=0.1
    )
    predictors = [
        KerasPredictor(
            model,
            task=Classification(("a", "b", "c")),
            strategy=strategy.build_strategy("auto"),
            batch_size=size,
            pad_token_id=0,
        )
        for size in (1, 8)
    ]
    one, eight = (predict(encoded) for predict in predictors)
    assert one.shape == (29, 3)
    np.testing.assert_allclose(one, eight, atol=1e-6)
