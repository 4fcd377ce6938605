"""Answers to questions from start and end logits, in the graph."""

from collections.abc import Mapping

import tensorflow as tf

from bert_tf.text import normalization

_IMPOSSIBLE = -1e9
# Of what `best_in_windows` returns.
WINDOW_SPECS = {
    "total": tf.TensorSpec([None], tf.float32),
    "start": tf.TensorSpec([None], tf.int32),
    "end": tf.TensorSpec([None], tf.int32),
    "probability": tf.TensorSpec([None], tf.float32),
    "no_answer": tf.TensorSpec([None], tf.float32),
    "no_answer_probability": tf.TensorSpec([None], tf.float32),
}
# In word pieces, as in google-research/bert's run_squad.py.
_LONGEST_ANSWER = 30


def best_in_windows(
    logits: tf.Tensor, places: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the best span of each window.

    Args:
        logits: <float32>[windows, length, 2], of being the first and the last
            token; those of the first token are of having no answer.
        places: <int32>[windows, length, 3], see `PlacedPieces`; 0 where no
            answer can be.

    Returns:
        By window: total <float32>, start and end <int32> in characters,
        probability <float32> (the product of two softmaxes over the context
        and the first token), no_answer <float32> and no_answer_probability.
    """
    length = tf.shape(logits)[1]
    possible = places[:, :, 1] > 0
    first, last = (
        tf.where(possible, logits[:, :, side], _IMPOSSIBLE) for side in (0, 1)
    )
    position = tf.range(length)
    distance = position[tf.newaxis] - position[:, tf.newaxis]
    totals = tf.where(
        (distance >= 0) & (distance < _LONGEST_ANSWER),
        first[:, :, tf.newaxis] + last[:, tf.newaxis],
        _IMPOSSIBLE,
    )
    best = tf.argmax(tf.reshape(totals, [-1, length * length]), axis=1)
    best = tf.cast(best, tf.int32)
    # A batch without windows has no length to divide by.
    divisor = tf.maximum(length, 1)
    begin, end = best // divisor, best % divisor

    def pick(values, position):
        return tf.gather(values, position, batch_dims=1)

    none = logits[:, 0]
    normal = [
        tf.reduce_logsumexp(
            tf.concat([side, none[:, number, tf.newaxis]], 1), axis=1
        )
        for number, side in enumerate((first, last))
    ]
    total = pick(first, begin) + pick(last, end)
    no_answer = none[:, 0] + none[:, 1]
    return {
        "total": total,
        "start": pick(places[:, :, 0], begin),
        "end": pick(places[:, :, 1], end),
        "probability": tf.exp(total - normal[0] - normal[1]),
        "no_answer": no_answer,
        "no_answer_probability": tf.exp(no_answer - normal[0] - normal[1]),
    }


def best_of_windows(
    windows: Mapping[str, tf.Tensor],
    owners: tf.Tensor,
    contexts: tf.Tensor,
    *,
    threshold: float,
) -> dict[str, tf.Tensor]:
    """Returns the answer to each question: the best span of all its windows.

    Args:
        windows: what `best_in_windows` returned.
        owners: <int64>[windows], whose question's they are, ascending.
        contexts: <string>[batch].
        threshold: there is no answer where that scores more than the best
            span by more than so much, in the window where it scores least.

    Returns:
        answer <string>[batch], "" for none; start and end <int32>[batch], in
        characters (code points) of the context, 0 for none; score
        <float32>[batch]; margin <float32>[batch], by how much none is better.
    """
    count = tf.shape(contexts)[0]
    number = tf.range(tf.shape(owners)[0])

    def of_best(values, best):
        is_best = values == tf.gather(best, owners)
        # The first, where there are several.
        window = tf.math.unsorted_segment_min(
            tf.where(is_best, number, tf.int32.max), owners, count
        )
        return window

    total = tf.math.unsorted_segment_max(windows["total"], owners, count)
    window = of_best(windows["total"], total)
    none = tf.math.unsorted_segment_min(windows["no_answer"], owners, count)
    none_window = of_best(windows["no_answer"], none)
    margin = none - total
    is_answered = (total > _IMPOSSIBLE / 2) & (margin <= threshold)
    start, end = (
        tf.where(is_answered, tf.gather(windows[name], window), 0)
        for name in ("start", "end")
    )
    return {
        "answer": tf.strings.substr(
            normalization.valid_utf8(contexts),
            start,
            end - start,
            unit="UTF8_CHAR",
        ),
        "start": start,
        "end": end,
        "score": tf.where(
            is_answered,
            tf.gather(windows["probability"], window),
            tf.gather(windows["no_answer_probability"], none_window),
        ),
        "margin": margin,
    }
