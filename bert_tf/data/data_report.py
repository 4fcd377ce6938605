"""Statistics and problems of the data: duplicates, truncation, classes."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bert_tf.data.examples import group_keys, near_keys, text_keys
from bert_tf.data.input_pipeline import EncodedTexts
from bert_tf.data.label_types import LabelType
from bert_tf.data.tfrecords import TokenizedRecords
from bert_tf.errors import list_some, shorten
from bert_tf.text import vocabulary

_PERCENTILES = (50, 90, 95, 99, 100)
# The recommended length holds this share of the texts whole.
_COVERAGE = 0.99
_LENGTH_MULTIPLE = 8
_EXAMPLES = 3


def build_data_report(
    splits: dict[str, pd.DataFrame],
    encoded: dict[str, EncodedTexts | TokenizedRecords],
    *,
    max_seq_length: int,
    max_positions: int | None,
    label_type: LabelType,
    unknown_id: int,
) -> dict:
    """Returns rows, classes, duplicates, leaks and lengths, for JSON.

    Args:
        splits: examples by split: train, validation, test.
        encoded: the same splits tokenized. Of tokenized records no texts are
            known, so nothing is said of their duplicates.
        max_seq_length: the length that is to be used.
        max_positions: the model's longest, if known.
        label_type: counts the labels.
        unknown_id: of the token for what the vocabulary lacks.
    """
    frames = {
        name: split
        for name, split in splits.items()
        if not isinstance(encoded[name], TokenizedRecords)
    }
    keys = {name: text_keys(split) for name, split in frames.items()}
    near = {name: near_keys(one) for name, one in keys.items()}
    groups = {
        name: group_keys(split, label_type.group_field)
        for name, split in frames.items()
        if split["text_pair"].iloc[0] is not None
    }
    counts = np.concatenate([split.token_counts for split in encoded.values()])
    recommended = recommended_length(counts, max_positions)
    return {
        "schema_version": 1,
        "parts": {
            name: {
                "files": list(dict.fromkeys(split["path"])),
                "rows": len(split),
                "classes": label_type.count(split["label"]),
                **(_duplicates(split, keys[name]) if name in keys else {}),
            }
            for name, split in splits.items()
        },
        "shared_texts": _shared(keys),
        "shared_groups": _shared(groups),
        "near_equal_texts": {
            f"{first} and {second}": _near_equal(
                (frames[first], keys[first], near[first]),
                (frames[second], keys[second], near[second]),
            )
            for first, second in itertools.combinations(frames, 2)
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
        "recommended_max_seq_length": recommended,
        "recommended_whole_share": float((counts <= recommended).mean()),
        **_unknown(frames, encoded, unknown_id),
    }


def unknown_shares(encoded: EncodedTexts, unknown_id: int) -> np.ndarray:
    """Returns which part of each row's tokens is unknown <float>[rows]."""
    is_unknown = (encoded.token_ids == unknown_id).astype(np.int64)
    # Summed up from the start, since rows may be empty.
    sums = np.concatenate([[0], np.cumsum(is_unknown)])
    counts = np.diff(sums[encoded.row_splits])
    return counts / np.maximum(encoded.lengths, 1)


def _unknown(frames: dict, encoded: dict, unknown_id: int) -> dict:
    """Returns the unknown share of all tokens, and the texts with the most."""
    unknown = total = 0.0
    worst = []
    for name, frame in frames.items():
        one = encoded[name]
        shares = unknown_shares(one, unknown_id)
        unknown += (shares * one.lengths).sum()
        total += one.lengths.sum()
        for row in np.argsort(-shares, kind="stable")[:_EXAMPLES]:
            text = row if one.example_index is None else one.example_index[row]
            worst.append(
                (float(shares[row]), shorten(frame["text"].iloc[text]))
            )
    worst.sort(key=lambda item: -item[0])
    return {
        "unknown_share": float(unknown / total) if total else 0.0,
        "unknown_examples": [
            text for share, text in worst[:_EXAMPLES] if share
        ],
    }


def describe_unknown(share: float, examples: Sequence[str]) -> str:
    """Says how much a vocabulary lacks, and what to do about it."""
    shown = "; ".join(repr(text) for text in examples)
    return (
        f"{share:.1%} of the tokens are unknown to the vocabulary, which the "
        f"model takes for one another ({shown}); a --preset of this language "
        "or script, such as bert_base_multi, knows them"
    )


def _shared(keys: dict[str, pd.Series]) -> dict[str, int]:
    """Returns how many rows of the second split are in the first, too."""
    return {
        f"{first} and {second}": int(keys[second].isin(keys[first]).sum())
        for first, second in itertools.combinations(keys, 2)
    }


def _near_equal(
    first: tuple[pd.DataFrame, pd.Series, pd.Series],
    second: tuple[pd.DataFrame, pd.Series, pd.Series],
) -> dict:
    """Returns how many texts of the second are nearly in the first, and some.

    Not counted are those that are in it.

    Args:
        first: rows, their `text_keys` and their `near_keys`; so is `second`.
    """
    (first, first_keys, first_near), (second, keys, near) = first, second
    rows = np.flatnonzero(near.isin(first_near) & ~keys.isin(first_keys))
    examples = []
    for row in rows[:_EXAMPLES]:
        twin = first.iloc[np.flatnonzero(first_near == near.iloc[row])[0]]
        examples.append(
            [
                f"{one['path']}:{one['line']} {shorten(one['text'])}"
                for one in (twin, second.iloc[row])
            ]
        )
    return {"count": len(rows), "examples": examples}


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
    for names, count in report["shared_groups"].items():
        if count:
            lines.append(
                f"  {count:,} pairs share a text between {names}, which makes "
                "the figures too good"
            )
    for names, near in report["near_equal_texts"].items():
        if near["count"]:
            lines.append(
                f"  {near['count']:,} more texts of {names} are nearly equal "
                "(case, punctuation, addresses and digits aside), such as"
            )
            lines += [
                f"    {text}" for pair in near["examples"] for text in pair
            ]
    tokens = report["tokens"]
    lines.append(
        f"  tokens per text: median {tokens['percentile_50']}, "
        f"90% up to {tokens['percentile_90']}, 95% {tokens['percentile_95']}, "
        f"99% {tokens['percentile_99']}, longest {tokens['percentile_100']}"
    )
    lines.append(
        f"  max_seq_length {report['max_seq_length']} truncates "
        f"{report['truncated']:,} texts ({report['truncated_share']:.1%}); "
        f"{describe_recommended(report)}"
    )
    if report["unknown_share"] > vocabulary.LARGE_UNKNOWN_SHARE:
        unknown = describe_unknown(
            report["unknown_share"], report["unknown_examples"]
        )
        lines.append(f"  {unknown}")
    return "\n".join(lines)


def describe_recommended(report: dict) -> str:
    """Says what the recommended length would change."""
    length = report["recommended_max_seq_length"]
    # Reports of earlier versions do not have it.
    share = report.get("recommended_whole_share", _COVERAGE)
    if share >= _COVERAGE:
        return f"{length} would leave 99% whole"
    return (
        f"{length}, the longest that the model takes, would leave {share:.0%} "
        "whole: --long_text=window reads all of a text"
    )


def _duplicates(split: pd.DataFrame, keys: pd.Series) -> dict:
    labels_of_key = split["label"].groupby(keys).nunique()
    contradictory = labels_of_key[labels_of_key > 1].index
    rows = split[keys.isin(contradictory)]
    return {
        "duplicates": int(keys.duplicated().sum()),
        "contradictions": len(contradictory),
        "contradiction_lines": [int(line) for line in rows["line"]][:100],
    }
