import dataclasses

import numpy as np
import pytest

from bert_tf.data import encoding
from bert_tf.data.splits import read_splits
from bert_tf.text.preprocessor import Preprocessor
from tests.conftest import write_csv


@pytest.mark.parametrize(
    ("given", "max_positions", "has_windows", "bounds"),
    [
        (None, 512, False, (256, 64)),
        (None, None, False, (256, 64)),
        (None, 32, False, (32, 32)),
        (None, 512, True, (128, 128)),
        (300, 512, False, (300, 300)),
    ],
)
def test_length_bounds(given, max_positions, has_windows, bounds):
    found = encoding.length_bounds(
        given, max_positions=max_positions, has_windows=has_windows
    )
    assert found == bounds


def test_most_texts_stay_whole():
    counts = np.array([5] * 98 + [90, 900])
    assert encoding.choose_length(counts, 256, 64) == 96
    assert encoding.choose_length(counts[:98], 256, 64) == 64
    assert encoding.choose_length(counts * 10, 256, 64) == 256


@pytest.mark.parametrize(
    ("segments", "long_text"),
    [(1, "truncate"), (1, "head_tail"), (2, "truncate")],
)
def test_a_shorter_length_is_that_of_the_preprocessor(
    vocabulary, segments, long_text
):
    """One graph for all lengths cuts as one of that length does."""
    texts = ["good film " * i for i in range(12)], ["a poor story"] * 12
    found = [
        encoding.encode(
            Preprocessor(
                vocabulary, sequence_length=longest, long_text=long_text
            ),
            texts[:segments],
            length=length,
        )
        for longest, length in ((16, 9), (9, None))
    ]
    for field in dataclasses.fields(found[0]):
        values = [getattr(one, field.name) for one in found]
        np.testing.assert_array_equal(*values, err_msg=field.name)


def test_splits_are_cut_alike(tiny_config, vocabulary, tmp_path):
    """The training texts decide, and longer ones of others are cut there."""
    path = write_csv(
        tmp_path / "long.csv",
        [("good film " * 30, "pos"), ("poor film " * 200, "neg")] * 20,
    )
    train = write_csv(
        tmp_path / "train.csv",
        [("good film " * 40, "pos"), ("poor film", "neg")] * 20,
    )
    config = tiny_config(
        train_file=(train,), validation_file=(path,), max_seq_length=None
    )
    encoded, length = encoding.encode_splits(
        read_splits(config), config, vocabulary,
        max_positions=512, with_offsets=False,
    )  # fmt: skip
    assert length == 88
    assert encoded["train"].lengths.max() == 82
    assert set(encoded["validation"].lengths) == {62, 88}
