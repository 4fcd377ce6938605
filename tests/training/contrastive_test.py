"""The contrastive epoch: vectors of one class come to lie together."""

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.errors import InputError
from bert_tf.inference import loaded_run
from bert_tf.training import contrastive
from bert_tf.training.train import train_files as train
from tests.conftest import review_rows

IDS = np.array([0, 1, 0, 1, 0, 2, 0, 1])


def test_each_row_once_a_pass_beside_one_of_its_class():
    plan = contrastive.plan_epoch(IDS, batch_size=8, steps=5, seed=3)
    assert len(plan) == 5
    for batch in plan:
        assert sorted(batch) == list(range(8))
        # Pairs and what is left over, in any order.
        changes = int((np.diff(IDS[batch]) != 0).sum())
        assert changes <= 4
    assert any((one != plan[0]).any() for one in plan[1:])
    again = contrastive.plan_epoch(IDS, batch_size=8, steps=5, seed=3)
    np.testing.assert_array_equal(plan, again)


def test_all_batches_are_full():
    """A pass goes on in the batch where the one before it ended."""
    plan = contrastive.plan_epoch(IDS, batch_size=3, steps=8, seed=0)
    assert plan.shape == (8, 3)
    for rows in np.split(plan.ravel(), 3):
        assert sorted(rows) == list(range(8))


@pytest.mark.parametrize(
    ("rows", "classes", "steps"),
    [(14, 2, 30), (961, 2, 31), (10_000, 20, 100), (300, 47, 94)],
)
def test_a_pass_or_two_batches_a_class(rows, classes, steps):
    assert contrastive.num_steps(rows, classes, 32) == steps


def test_losses_by_hand():
    """Cosines 1 to its like, 0 to the others, a tenth of each the unit."""
    vectors = tf.constant([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
    texts = (
        tf.math.l2_normalize(vectors, axis=1),
        tf.constant([0, 0, 1, 0]),
        tf.constant([7, 5, 6, -1]),
    )
    losses = contrastive.contrastive_losses(texts, texts)
    near = np.log(np.exp(10.0) + np.exp(0.0)) - 10.0
    # The third is alone; the fourth fills a batch up.
    np.testing.assert_allclose(losses[:3], [near, near, 0.0], atol=1e-5)


def nearness(run: str) -> float:
    """Returns how much nearer vectors of one class are than those of two."""
    model = loaded_run.open_model(run, batch_size=32)
    rows = review_rows(120)
    encoded = model.encode(([text for text, _ in rows],))
    vectors = model.predict_encoded.embed(encoded, np.arange(120))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([label for _, label in rows])
    cosines = vectors @ vectors.T
    is_same = labels[:, None] == labels
    return float(cosines[is_same].mean() - cosines[~is_same].mean())


def test_vectors_of_one_class_come_together(tiny_config, tmp_path):
    for name, changes in (
        ("before", {"num_train_epochs": 0}),
        ("after", {"num_train_epochs": 1, "contrastive": "true"}),
    ):
        metrics = train(
            tiny_config(
                output_dir=str(tmp_path / name),
                learning_rate=5e-3,
                pooling="mean",
                metric_for_best_model="loss",
                **changes,
            )
        )
    # Few validation rows cannot say that the probe was better.
    assert metrics["best"]["epoch"] == 1
    assert metrics["train_steps"] == 30
    before = nearness(str(tmp_path / "before"))
    assert nearness(str(tmp_path / "after")) > before + 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head_init": "random"}, "--head_init=random"),
        ({"freeze_backbone": True}, "--freeze_backbone"),
        ({"num_train_epochs": 0}, "--num_train_epochs=0"),
        ({"task": "multi_label"}, "for --task=classification"),
    ],
)
def test_what_it_does_not_go_with(tiny_config, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_config(contrastive="true", **changes)
