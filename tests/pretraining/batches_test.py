import collections

import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.pretraining.batches import Batches
from bert_tf.pretraining.corpus import Corpus
from bert_tf.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = 1000
VOCABULARY = Vocabulary(
    (*SPECIAL_TOKENS, "[unused0]")
    + tuple(f"w{i}" for i in range(WORDS))
    + tuple(f"##w{i}" for i in range(WORDS // 2)),
    lowercase=True,
    strip_accents=True,
)
FIRST = 6
MASK = 4


def corpus(documents=300, seed=1):
    """Sentences of 1 to 30 tokens, documents of 2 to 40 sentences."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(2, 41, documents)
    lengths = generator.integers(1, 31, counts.sum())
    ids = generator.integers(FIRST, len(VOCABULARY.tokens), lengths.sum())
    return Corpus(
        ids.astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([[0], np.cumsum(counts)]),
    )


def build(**changes) -> Batches:
    settings = {
        "corpus": corpus(),
        "vocabulary": VOCABULARY,
        "has_pairs": True,
        "sequence_length": 128,
        "batch_size": 64,
        "max_predictions": 24,
        "whole_words": False,
        "seed": 3,
    }
    return Batches(**{**settings, **changes})


def epochs(batches, count):
    for epoch in range(count):
        for batch in batches.dataset(epoch).as_numpy_iterator():
            yield {
                name: value[batch["row"] >= 0] for name, value in batch.items()
            }


def within(successes, total, share):
    """Three standard errors of a share."""
    error = np.sqrt(share * (1 - share) / total)
    assert abs(successes / total - share) < 3 * error, (successes, total)


@pytest.mark.parametrize(
    ("has_pairs", "whole_words"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_mask_statistics_over_a_million_tokens(has_pairs, whole_words):
    counts = collections.Counter()
    batches = build(has_pairs=has_pairs, whole_words=whole_words)
    for batch in epochs(batches, 40):
        if counts["tokens"] > 1_000_000:
            break
        masked = batch["masked_weights"] > 0
        rows, _ = np.nonzero(masked)
        new = batch["token_ids"][rows, batch["masked_positions"][masked]]
        old = batch["masked_ids"][masked]
        assert (old >= FIRST).all(), "a special token was masked"
        assert ((new == MASK) | (new >= FIRST)).all()
        counts["masked"] += masked.sum()
        counts["tokens"] += (batch["token_ids"] >= FIRST).sum()
        # [MASK] was a token before.
        counts["tokens"] += (batch["token_ids"] == MASK).sum()
        counts["replaced"] += (new == MASK).sum()
        counts["kept"] += (new == old).sum()
        counts["rows"] += len(batch["row"])
        counts["random_pairs"] += batch["is_random"].sum()
    assert counts["tokens"] > 1_000_000
    within(counts["masked"], counts["tokens"], 0.15)
    within(counts["replaced"], counts["masked"], 0.8)
    within(counts["kept"], counts["masked"], 0.1)
    drawn = counts["masked"] - counts["replaced"] - counts["kept"]
    within(drawn, counts["masked"], 0.1)
    if has_pairs:
        within(counts["random_pairs"], counts["rows"], 0.5)


def restored(batch):
    """The token ids as they were before masking."""
    ids = batch["token_ids"].copy()
    masked = batch["masked_weights"] > 0
    rows, _ = np.nonzero(masked)
    ids[rows, batch["masked_positions"][masked]] = batch["masked_ids"][masked]
    return ids


def test_pairs_are_what_they_say():
    """Each token tells its document: pairs go on, or go elsewhere."""
    source = corpus(documents=40)
    document = np.repeat(np.arange(40), source.document_lengths)
    ids = np.arange(len(document), dtype=np.int32) + FIRST
    numbered = Vocabulary(
        (*SPECIAL_TOKENS, "[unused0]", *map(str, range(len(ids)))), True, True
    )
    batches = build(
        corpus=Corpus(ids, source.sentence_starts, source.document_starts),
        vocabulary=numbered,
        sequence_length=64,
        max_predictions=14,
    )
    lengths = collections.Counter()
    for batch in epochs(batches, 3):
        for row, segments, mask, is_random in zip(
            restored(batch), batch["segment_ids"], batch["padding_mask"],
            batch["is_random"], strict=True,
        ):  # fmt: skip
            row = row[: mask.sum()]
            assert row[0] == 2 and row[-1] == 3 and (row == 3).sum() == 2
            cut = int(np.flatnonzero(row == 3)[0])
            first, second = row[1:cut] - FIRST, row[cut + 1 : -1] - FIRST
            assert segments[: cut + 1].sum() == 0
            assert segments[cut + 1 : len(row)].all()
            assert len(first) and len(second) and len(row) <= 64
            assert (np.diff(first) == 1).all() and (np.diff(second) == 1).all()
            same = document[first[0]] == document[second[0]]
            assert same != is_random
            assert same == (first[-1] < second[0]) or is_random
            lengths["short" if len(row) < 60 else "full"] += 1
            lengths["all"] += 1
    assert 0.05 < lengths["short"] / lengths["all"] < 0.3


def test_blocks_are_full_and_hold_all():
    batches = build(has_pairs=False, sequence_length=64)
    seen = collections.Counter()
    for batch in epochs(batches, 1):
        assert batch["padding_mask"].all()
        seen.update(restored(batch).ravel().tolist())
    total = np.bincount(batches.corpus.token_ids)
    missed = sum(total[FIRST:]) - sum(
        count for token, count in seen.items() if token >= FIRST
    )
    assert 0 <= missed < 2 * 64


def test_whole_words_are_masked_whole():
    batches = build(whole_words=True)
    for batch in epochs(batches, 1):
        ids = restored(batch)
        masked = np.zeros(ids.shape, bool)
        chosen = batch["masked_weights"] > 0
        rows, _ = np.nonzero(chosen)
        masked[rows, batch["masked_positions"][chosen]] = True
        follows = (ids >= FIRST + WORDS)[:, 1:] & (ids >= FIRST)[:, :-1]
        assert (masked[:, 1:] == masked[:, :-1])[follows].all()


def same(first, second):
    return all(
        np.array_equal(a[name], b[name])
        for a, b in zip(first, second, strict=True)
        for name in a
    )


@pytest.mark.parametrize("has_pairs", [False, True])
def test_seeds(has_pairs):
    def batches(seed=3, epoch=0, first_step=0):
        found = build(has_pairs=has_pairs, seed=seed)
        dataset = found.dataset(epoch, first_step=first_step)
        return list(dataset.as_numpy_iterator())

    assert same(batches(), batches())
    assert same(batches(first_step=5), batches()[5:])
    assert not same(batches(epoch=1), batches())
    assert not same(batches(seed=4), batches())


def test_weights_add_up_to_one():
    for batch in build(max_rows=70).dataset(0).as_numpy_iterator():
        assert batch["weight"].sum() == pytest.approx(1)
        assert batch["masked_weights"].sum() == pytest.approx(1)
    assert (batch["row"] >= 0).sum() == 6


def test_too_little_text():
    with pytest.raises(InputError, match="two documents"):
        _ = build(corpus=corpus(documents=1)).rows
    tiny = Corpus(np.full(9, FIRST, np.int32), np.arange(10), np.array([0, 9]))
    with pytest.raises(InputError, match="do not fill"):
        _ = build(corpus=tiny, has_pairs=False).rows
