"""Which of two epochs is better."""

from bert_tf.config.training import SELECTION_METRICS


def is_better(value: float | None, best: float | None, metric: str) -> bool:
    """Whether a metric's value is better; None is where it is undefined."""
    if value is None or best is None:
        return value is not None
    return value > best if SELECTION_METRICS[metric] else value < best
