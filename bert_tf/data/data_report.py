"""Statistics and problems of the data: duplicates, truncation, classes."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from bert_tf.data.examples import text_keys
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.errors import list_some

_PERCENTILES = (50, 90, 95, 99, 100)
# The recommended length holds this share of the texts whole.
_COVERAGE = 0.99
_LENGTH_MULTIPLE = 8


def build_data_report(
    splits: dict[str, pd.DataFrame],
    encoded: dict[str, EncodedTexts | TokenizedRecords],
    *,
    max_seq_length: int,
    max_positions: int | None,
    count_labels: Callable[[pd.Series], dict[str, int]],
) -> dict:
    """Returns rows, classes, duplicates, leaks and lengths, for JSON.

    Args:
        splits: examples by split: train, validation, test.
        encoded: the same splits tokenized. Of tokenized records no texts are
            known, so nothing is said of their duplicates.
        max_seq_length: the length that is to be used.
        max_positions: the model's longest, if known.
        count_labels: from labels to how many examples have each.
    """
    keys = {
        name: text_keys(split)
        for name, split in splits.items()
        if not isinstance(encoded[name], TokenizedRecords)
    }
    counts = np.concatenate([split.token_counts for split in encoded.values()])
    return {
        "schema_version": 1,
        "parts": {
            name: {
                "files": list(dict.fromkeys(split["path"])),
                "rows": len(split),
                "classes": count_labels(split["label"]),
                **(_duplicates(split, keys[name]) if name in keys else {}),
            }
            for name, split in splits.items()
        },
        "shared_texts": {
            f"{first} and {second}": int(keys[second].isin(keys[first]).sum())
            for first, second in itertools.combinations(keys, 2)
        },
        "tokens": {
            f"percentile_{p}": int(
                np.percentile(counts, p, method="inverted_cdf")
            )
            for p in _PERCENTILES
        },
        "max_seq_length": max_seq_length,
        "truncated": int((counts > max_seq_length).sum()),
        "truncated_share": float((counts > max_seq_length).mean()),
        "recommended_max_seq_length": recommended_length(counts, max_positions),
    }


def recommended_length(counts: np.ndarray, max_positions: int | None) -> int:
    """Returns the length that leaves 99% of the texts whole, in eights."""
    length = np.percentile(counts, 100 * _COVERAGE, method="inverted_cdf")
    length = -int(-length // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
    return min(length, max_positions or length)


def describe(report: dict) -> str:
    """Returns the report as lines for a terminal."""
    lines = ["Data"]
    for name, split in report["parts"].items():
        lines.append(
            f"  {name}: {split['rows']:,} rows from {', '.join(split['files'])}"
        )
        total = split["rows"]
        classes = [
            f"{label} {count:,} ({count / total:.1%})"
            for label, count in split["classes"].items()
        ]
        if classes:
            lines.append(
                f"    {len(classes)} classes: {list_some(classes, 12)}"
            )
        if split.get("duplicates"):
            lines.append(
                f"    {split['duplicates']:,} rows repeat the text of another"
            )
        if split.get("contradictions"):
            shown = list_some(split["contradiction_lines"])
            lines.append(
                f"    {split['contradictions']:,} texts have more than one "
                f"label (lines {shown})"
            )
    for names, count in report["shared_texts"].items():
        warning = "  <- these make the figures too good" if count else ""
        lines.append(f"  texts shared between {names}: {count:,}{warning}")
    tokens = report["tokens"]
    lines.append(
        f"  tokens per text: median {tokens['percentile_50']}, "
        f"90% up to {tokens['percentile_90']}, 95% {tokens['percentile_95']}, "
        f"99% {tokens['percentile_99']}, longest {tokens['percentile_100']}"
    )
    lines.append(
        f"  max_seq_length {report['max_seq_length']} truncates "
        f"{report['truncated']:,} texts ({report['truncated_share']:.1%}); "
        f"{report['recommended_max_seq_length']} would leave 99% whole"
    )
    return "\n".join(lines)


def _duplicates(split: pd.DataFrame, keys: pd.Series) -> dict:
    labels_of_key = split["label"].groupby(keys).nunique()
    contradictory = labels_of_key[labels_of_key > 1].index
    rows = split[keys.isin(contradictory)]
    return {
        "duplicates": int(keys.duplicated().sum()),
        "contradictions": len(contradictory),
        "contradiction_lines": [int(line) for line in rows["line"]][:100],
    }
