import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import encoding, input_pipeline

TEXTS = ["good film", "a", "the plot was very very bad", "", "x y z"] * 3


@pytest.fixture(scope="module")
def encoded(preprocessor):
    return encoding.encode(preprocessor, (TEXTS,))


def test_encode_keeps_rows_and_counts(encoded):
    assert encoded.lengths.tolist() == [4, 3, 8, 2, 5] * 3
    assert encoded.token_counts.tolist() == encoded.lengths.tolist()
    assert encoded.first_lengths.tolist() == encoded.lengths.tolist()


def test_counts_are_before_truncation(preprocessor):
    encoded = encoding.encode(preprocessor, (["a " * 30], ["b"]))
    assert encoded.token_counts.tolist() == [34]
    assert encoded.lengths.tolist() == [16]
    assert encoded.first_lengths.tolist() == [14]


def test_training_plan_has_every_row_once_in_a_new_order():
    lengths = np.arange(100) % 17
    plans = [
        input_pipeline.plan_training_epoch(
            lengths, batch_size=8, seed=1, epoch=e
        )
        for e in (0, 0, 1)
    ]
    flat = [np.concatenate(plan).tolist() for plan in plans]
    assert flat[0] == flat[1] != flat[2]
    for rows in flat:
        assert sorted(rows) == list(range(100))
    spread = [np.ptp(lengths[batch]) for batch in plans[0]]
    assert max(spread) <= 2  # texts of like length together


def test_evaluation_plan_has_every_row_once():
    plan = input_pipeline.plan_evaluation(
        np.array([3, 9, 4, 9, 1]), batch_size=2
    )
    assert [batch.tolist() for batch in plan] == [[1, 3], [2, 0], [4]]


def test_batches_are_padded_only_as_far_as_needed(encoded):
    plan = [np.array([1, 3]), np.array([2])]
    labels = np.arange(len(TEXTS), dtype=np.int32)
    weights = np.ones(len(TEXTS), np.float32)
    weights[1] = 3
    batches = list(
        input_pipeline.build_dataset(
            encoded, plan, batch_size=2, pad_token_id=0, labels=labels,
            weights=weights,
        ).as_numpy_iterator()
    )  # fmt: skip
    assert batches[0]["token_ids"].shape == (2, 3)
    assert batches[0]["padding_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batches[0]["weight"].tolist() == [0.75, 0.25]
    assert batches[1]["token_ids"].shape == (2, 8)
    assert batches[1]["row"].tolist() == [2, -1]
    assert batches[1]["weight"].tolist() == [1, 0]
    assert batches[1]["label"][0] == 2


def test_fixed_length(encoded):
    dataset = input_pipeline.build_dataset(
        encoded, [np.array([1, 3])], batch_size=2, pad_token_id=0,
        fixed_length=12,
    )  # fmt: skip
    assert dataset.element_spec["token_ids"].shape == (2, 12)
    assert next(iter(dataset))["padding_mask"].numpy().sum() == 5


def test_pairs_have_segments(preprocessor):
    encoded = encoding.encode(preprocessor, (["a", "b c"], ["d e", "f"]))
    dataset = input_pipeline.build_dataset(
        encoded, [np.array([0, 1])], batch_size=2, pad_token_id=0
    )
    assert next(iter(dataset))["segment_ids"].numpy().tolist() == [
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ]


def test_every_shape_is_known_where_the_length_is_fixed():
    encoded = input_pipeline.EncodedTexts(
        token_ids=np.arange(6, dtype=np.int32),
        row_splits=np.array([0, 2, 6]),
        first_lengths=np.array([2, 4], np.int32),
        token_counts=np.array([2, 4], np.int32),
    )
    spec = input_pipeline.build_dataset(
        encoded, [np.arange(2)], batch_size=2, pad_token_id=0, fixed_length=8
    ).element_spec
    assert all(one.shape.is_fully_defined() for one in spec.values()), spec
    assert spec["padding_mask"].shape == spec["segment_ids"].shape == (2, 8)


def test_few_lengths_where_each_is_compiled():
    lengths = np.arange(3, 41)
    encoded = input_pipeline.EncodedTexts(
        token_ids=np.ones(lengths.sum(), np.int32),
        row_splits=np.concatenate([[0], np.cumsum(lengths)]),
        first_lengths=lengths.astype(np.int32),
        token_counts=lengths.astype(np.int32),
    )
    plan = input_pipeline.plan_evaluation(lengths, batch_size=2)
    batches = input_pipeline.build_dataset(
        encoded, plan, batch_size=2, pad_token_id=7, pad_to_multiple_of=16,
        longest=40,
    )  # fmt: skip
    widths = set()
    for batch in batches.as_numpy_iterator():
        width = batch["token_ids"].shape[1]
        widths.add(width)
        count = batch["padding_mask"].sum(axis=1)
        assert width - 16 < count.max() <= width
        assert (batch["token_ids"][batch["padding_mask"] == 0] == 7).all()
        assert (
            batch["padding_mask"].sum(axis=1) == lengths[batch["row"]]
        ).all()
    assert widths == {16, 32, 40}


def test_labels_of_tokens_are_padded_alike():
    lengths = np.array([3, 5], np.int32)
    encoded = input_pipeline.EncodedTexts(
        np.ones(8, np.int32), np.array([0, 3, 8]), lengths, lengths
    )
    labels = tf.RaggedTensor.from_row_splits(
        np.arange(8, dtype=np.int32), [0, 3, 8]
    )
    (batch,) = input_pipeline.build_dataset(
        encoded, [np.arange(2)], batch_size=2, pad_token_id=0, labels=labels,
        pad_to_multiple_of=4,
    )  # fmt: skip
    assert batch["label"].shape == batch["token_ids"].shape == (2, 8)
    assert list(batch["label"][0].numpy()) == [0, 1, 2, -1, -1, -1, -1, -1]
