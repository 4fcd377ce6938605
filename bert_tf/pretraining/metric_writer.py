"""Writes pretraining metrics to the log, history.csv and TensorBoard."""

import os
import sys

import pandas as pd
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.training.progress import format_seconds


class MetricWriter:
    """Writes to standard error and to the run folder.

    Args:
        folder: of the run.
        tokens_limit: tokens per second if there were nothing but the matrix
            products, at the speed that was measured for these.
    """

    def __init__(self, folder: str, *, tokens_limit: float):
        self._folder = folder
        self._tokens_limit = tokens_limit
        self._writer = None

    def tell(
        self,
        *,
        epoch: int,
        step: int,
        loss: float,
        tokens_per_second: float,
        seconds_left: float,
    ) -> None:
        """Writes a line of progress."""
        share = tokens_per_second / self._tokens_limit
        _write_line(
            f"epoch {epoch}  step {step}  loss {loss:.4f}  "
            f"{tokens_per_second:,.0f} tokens/s ({share:.0%} of the "
            f"matrix-product limit)  {format_seconds(seconds_left)} left"
        )
        self._summarize(
            step,
            {
                "tokens_per_second": tokens_per_second,
                "share_of_matrix_product_limit": share,
            },
        )

    def write(self, history: list[dict]) -> None:
        """Writes history.csv, whose last row is new."""
        run_dir.write_text(
            os.path.join(self._folder, run_dir.HISTORY),
            pd.DataFrame(history).to_csv(index=False),
        )
        row = history[-1]
        self._summarize(row["step"], row)
        values = ", ".join(
            f"{name.removeprefix('eval_').replace('_', ' ')} {value:.4g}"
            for name, value in row.items()
            if name.startswith("eval_")
        )
        _write_line(f"step {row['step']}: held-out {values}")

    def _summarize(self, step: int, values: dict) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(
                os.path.join(self._folder, run_dir.LOGS)
            )
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if value is not None and name != "step":
                    tf.summary.scalar(name, value)
        self._writer.flush()


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
