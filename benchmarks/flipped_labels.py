"""How many wrong labels `pipelines.label_issues` finds, and what that is worth.

    .venv/bin/python -m benchmarks.flipped_labels --data_dir=../shared/data \
        --output_dir=runs/flipped_labels

Flips 5% of the labels of TREC's training file, to a random other class, and
prints precision and recall of the labels taken for wrong, beside cleanlab's own
on the same probabilities; then the test accuracy of three trainings: on the
flipped labels, without the 5% likeliest, and on the labels as they were.
Finished parts are not done again.
"""

import json
import os

import numpy as np
import pandas as pd
from absl import app, flags
from cleanlab import filter as cleanlab_filter

from benchmarks import data_sets

_DATA_DIR = flags.DEFINE_string("data_dir", "../shared/data", "Data sets.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/flipped_labels", "Where to."
)
_SHARE = flags.DEFINE_float("share", 0.05, "Of the labels that are flipped.")
_ROWS = flags.DEFINE_integer("rows", None, "Only so many; default: all.")
_FLAGS = flags.DEFINE_multi_string(
    "train_flag", [], "Of all trainings, such as --num_train_epochs=0."
)
_SEED = 42


def flip(labels: pd.Series, share: float, seed: int) -> pd.Series:
    """Returns labels of which a random share is of another class."""
    generator = np.random.default_rng(seed)
    classes = sorted(labels.unique())
    is_flipped = generator.random(len(labels)) < share
    others = [
        generator.choice([one for one in classes if one != label])
        for label in labels[is_flipped]
    ]
    flipped = labels.copy()
    flipped[is_flipped] = others
    return flipped


def precision_and_recall(
    found: np.ndarray, is_wrong: np.ndarray
) -> tuple[float, float]:
    """Returns which share of the rows found is wrong, and the reverse."""
    right = is_wrong[found].sum()
    return right / max(1, len(found)), right / is_wrong.sum()


def cleanlabs_own(path: str) -> np.ndarray:
    """Returns the rows that cleanlab names, of the probabilities in a file."""
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("probability_")]
    names = [name.removeprefix("probability_") for name in columns]
    labels = table["true_label"].map(names.index).to_numpy()
    probabilities = table[columns].to_numpy()
    return cleanlab_filter.find_label_issues(
        labels,
        probabilities / probabilities.sum(axis=1, keepdims=True),
        return_indices_ranked_by="self_confidence",
    )


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    folder = _OUTPUT_DIR.value
    os.makedirs(folder, exist_ok=True)
    train, test = data_sets.read_set("trec", _DATA_DIR.value, held_out=False)
    if _ROWS.value:
        train = train.sample(_ROWS.value, random_state=_SEED)
    train = train.reset_index(drop=True)
    flipped = train.assign(label=flip(train["label"], _SHARE.value, _SEED))
    is_wrong = (flipped["label"] != train["label"]).to_numpy()
    paths = {
        name: os.path.join(folder, f"{name}.csv")
        for name in ("clean", "flipped", "test")
    }
    train.to_csv(paths["clean"], index=False)
    flipped.to_csv(paths["flipped"], index=False)
    test.to_csv(paths["test"], index=False)

    issues_dir = os.path.join(folder, "issues")
    issues_file = os.path.join(issues_dir, "label_issues.csv")
    if not os.path.exists(issues_file):
        data_sets.run_script(
            "label_issues", f"--train_file={paths['flipped']}",
            f"--output_dir={issues_dir}", *_FLAGS.value,
        )  # fmt: skip
    issues = pd.read_csv(issues_file)
    issues = issues[issues["issue"] == "label"]
    # Rows have no id, so they are numbered from 1.
    ours = issues["id"].to_numpy() - 1
    theirs = cleanlabs_own(os.path.join(issues_dir, "oof_predictions.csv"))
    print(f"{is_wrong.sum():,} of {len(train):,} labels are flipped")
    for name, found in (("ours", ours), ("cleanlab", theirs)):
        precision, recall = precision_and_recall(found, is_wrong)
        print(
            f"{name:10}{len(found):6,} rows  precision {precision:.3f}  "
            f"recall {recall:.3f}"
        )
    worst = ours[: int(_SHARE.value * len(train))]
    precision, recall = precision_and_recall(worst, is_wrong)
    print(
        f"worst {len(worst):,}: precision {precision:.3f} recall {recall:.3f}"
    )

    for name, file, more in (
        ("flipped", "flipped", []),
        (
            "dropped",
            "flipped",
            [
                f"--label_issues_file={issues_file}",
                f"--drop_label_issues={_SHARE.value}",
            ],
        ),
        ("clean", "clean", []),
    ):
        output = os.path.join(folder, name)
        metrics = os.path.join(output, "metrics_test.json")
        if not os.path.exists(metrics):
            data_sets.run_script(
                "train", f"--train_file={paths[file]}",
                f"--test_file={paths['test']}", f"--output_dir={output}",
                *_FLAGS.value, *more,
            )  # fmt: skip
        with open(metrics, encoding="utf-8") as opened:
            accuracy = json.load(opened)["eval_accuracy"]
        print(f"{name:10}test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    app.run(main)
