"""The data sets of `benchmarks.data_sizes`, and samples of them."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd

# A size: every row there is.
ALL = "all"
_SEED = 42
_PARTS = ("train", "test")
_HELD_OUT_ROWS = 600
_MOST_SEEDS = 3
# Where a method ends: it takes too long, or is meant for few rows.
_LARGEST = {"trainer_20": 128, "setfit": 32}
# 47 classes are as many pairs and epochs as 128 labels of six.
_LARGEST_OF_FINE = {"trainer_20": 32, "setfit": 8}


def is_left_out(cell: dict) -> bool:
    """Whether a method is not measured at this size."""
    if cell["size"] == ALL:
        repeats = cell["method"] in ("word_counts", "sentence_vectors")
        return (
            cell["method"] in _LARGEST
            or cell["sample"] >= _MOST_SEEDS
            # They have no chance in them.
            or (repeats and cell["sample"] > 0)
        )
    largest = _LARGEST_OF_FINE if cell["set"] == "trec_fine" else _LARGEST
    return int(cell["size"]) > largest.get(cell["method"], np.inf)


def read_set(
    name: str, data_dir: str, *, held_out: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns training and test rows with the columns text and label.

    Args:
        name: trec, trec_fine, tweets, cola or headlines.
        data_dir: the folders of all but the headlines.
        held_out: whether the test rows are of the training file.
    """

    def path(*parts):
        return os.path.join(data_dir, *parts)

    if name in ("trec", "trec_fine"):
        parts = [pd.read_csv(path("trec", f"{p}.csv")) for p in _PARTS]
        for part in parts:
            part["text"] = part["question"]
            if name == "trec_fine":
                part["label"] += ":" + part["fine_label"]
    elif name == "tweets":
        parts = [
            pd.read_csv(path("disaster_tweets", f"{p}.csv")) for p in _PARTS
        ]
    elif name == "cola":
        parts = [
            pd.read_csv(path("cola", f"{p}.tsv"), sep="\t", quoting=3)
            for p in ("in_domain_train", "out_of_domain_dev")
        ]
        for part in parts:
            part["text"] = part["sentence"]
    else:
        parts = headlines()
    train, test = (
        part[["text", "label"]].astype(str).reset_index(drop=True)
        for part in parts
    )
    if held_out:
        train = train.drop_duplicates("text").sample(
            frac=1.0, random_state=_SEED
        )
        train, test = train[_HELD_OUT_ROWS:], train[:_HELD_OUT_ROWS]
    return train, test


def headlines() -> list[pd.DataFrame]:
    """Returns training and test rows of the BBC headlines, 30% of them."""
    with tempfile.TemporaryDirectory() as folder:
        run_script(
            "prepare_bbc_news", f"--output_dir={folder}", "--test_split=0.3",
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return [
            pd.read_csv(os.path.join(folder, f"{part}.csv")) for part in _PARTS
        ]


def sample_of(train: pd.DataFrame, size: str, sample: int) -> pd.DataFrame:
    """Returns so many rows a class, or what there is of it."""
    if size == ALL:
        return train
    rows = train.sample(frac=1.0, random_state=sample)
    return rows.groupby("label").head(int(size))


def run_script(name: str, *arguments: str, **options) -> None:
    """Runs a script of pipelines, which has to end well.

    Args:
        **options: of `subprocess.run`.
    """
    subprocess.run(
        [sys.executable, "-m", f"pipelines.{name}", *arguments],
        check=True,
        **options,
    )
