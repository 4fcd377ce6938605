"""Memory of one process that trains again and again.

    .venv/bin/python -m benchmarks.repeated_fits --data_dir=demo_data

`cross_val_predict` of ten folds of the demo's headlines, after `make demo`.
Prints each fit's peak of resident memory, and the last over the second: the
first builds what all share.
"""

import os

import pandas as pd
from absl import app, flags
from sklearn import model_selection

import bert_tf
from benchmarks.contestants import turns

_DATA_DIR = flags.DEFINE_string("data_dir", "demo_data", "Of the demo.")
_EPOCHS = flags.DEFINE_integer("num_train_epochs", 1, "Of each fit.")
_FOLDS = flags.DEFINE_integer("folds", 10, "How many fits.")


def forget_peak() -> None:
    """Has the kernel count the most memory from now on, see proc(5)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    peaks = []

    class Watched(bert_tf.BertClassifier):
        def fit(self, X, y, sample_weight=None):  # noqa: N803
            forget_peak()
            super().fit(X, y, sample_weight)
            peaks.append(turns.peak_mb())
            print(f"fit {len(peaks)}: {peaks[-1]:,.0f} MiB", flush=True)
            return self

    rows = pd.concat(
        pd.read_csv(os.path.join(_DATA_DIR.value, f"{name}.csv"))
        for name in ("train", "test")
    )
    answers = model_selection.cross_val_predict(
        Watched(num_train_epochs=_EPOCHS.value),
        rows["text"],
        rows["label"],
        cv=_FOLDS.value,
    )
    accuracy = (answers == rows["label"]).mean()
    print(f"accuracy {accuracy:.3f}, last / second {peaks[-1] / peaks[1]:.3f}")


if __name__ == "__main__":
    app.run(main)
