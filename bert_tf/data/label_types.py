"""Reads, validates and counts the labels of each task.

Free of TensorFlow, so that file errors are reported before it is loaded.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bert_tf import labels as labels_lib
from bert_tf.errors import InputError, list_some, place, unit

if TYPE_CHECKING:
    # pipelines.query_server reads labels where pandas is not wanted.
    import pandas as pd

OUTSIDE = "O"
_TAG = re.compile(r"O|[BI]-.+")


class LabelType:
    """What the labels of a task are, and what is usual.

    Attributes:
        separator: stands between the labels of a text, where there are
            several.
        may_be_empty: whether a row without a label is no fault.
    """

    may_be_empty = False
    # Of pairs, the text that many share: these stay on one side of a split.
    group_field = "text"
    # Labels that say that there is none, in any case: pandas and R write them.
    missing: frozenset[str] = frozenset()

    def __init__(self, separator: str):
        self.separator = separator

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Returns the classes of the training rows; () where there are none.

        Raises:
            InputError: the labels do not make such a task.
        """
        raise NotImplementedError

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """Raises InputError where a label is none of the classes."""
        raise NotImplementedError

    def strata(self, labels: pd.Series) -> pd.Series:
        """Returns a name for each label; a split keeps the shares of each."""
        return labels.map(lambda _: "")

    def count(self, labels: pd.Series) -> dict[str, int]:
        """Returns how many examples have each label, for the data report."""
        raise NotImplementedError

    def unified(
        self, labels: Sequence[pd.Series], *, merge_case: bool | None
    ) -> dict[str, str]:
        """Returns what some labels are to be called, of all files' labels.

        Args:
            labels: of each file.
            merge_case: whether those that differ by case alone are one, and
                else refused; None leaves them alone.

        Raises:
            InputError: labels differ by case alone.
        """
        del labels, merge_case
        return {}


class ClassLabel(LabelType):
    """One class of several."""

    missing = labels_lib.MISSING

    def unified(
        self, labels: Sequence[pd.Series], *, merge_case: bool | None
    ) -> dict[str, str]:
        """See `LabelType`."""
        counts = Counter(label for one in labels for label in one)
        return labels_lib.unified_names(counts, merge_case=merge_case)

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """See `LabelType`."""
        names = labels_lib.class_names(train["label"])
        labels_lib.check_class_names(names, len(train))
        return names

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """See `LabelType`."""
        unknown = examples[~examples["label"].isin(class_names)]
        if len(unknown):
            label, path = unknown["label"].iloc[0], unknown["path"].iloc[0]
            same = unknown[
                (unknown["label"] == label) & (unknown["path"] == path)
            ]
            raise InputError(
                f'{path} has the label "{label}" ({unit(path)}s '
                f"{list_some(list(same['line']))}), which the training data "
                f"lacks; it has: {list_some(class_names, 20)}"
                + _numbers_may_have_names(label, class_names)
            )

    def strata(self, labels: pd.Series) -> pd.Series:
        """Returns the classes, of which there must be two."""
        labels_lib.check_class_names(
            labels_lib.class_names(labels), len(labels)
        )
        return labels

    def count(self, labels: pd.Series) -> dict[str, int]:
        """See `LabelType`."""
        return {
            label: int((labels == label).sum())
            for label in labels_lib.class_names(labels)
        }


class NumberLabel(LabelType):
    """A number."""

    missing = labels_lib.MISSING

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Returns (); the numbers must differ."""
        values = train["label"]
        if values.nunique() == 1:
            raise InputError(
                f"all {len(values):,} training rows have the label "
                f"{values.iloc[0]}; is --label_column right?"
            )
        return ()

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """Raises InputError where a label is no number."""
        del class_names
        labels = zip(
            examples["label"], examples["path"], examples["line"], strict=True
        )
        for label, path, line in labels:
            if not labels_lib.is_number(label):
                raise InputError(
                    f'{place(path, line)}: the label "{label}" is not a '
                    "number, as --task=regression needs; is --label_column "
                    "right?"
                )

    def count(self, labels: pd.Series) -> dict[str, int]:
        """Returns nothing: numbers have no classes."""
        del labels
        return {}


class LabelSet(LabelType):
    """Any number of labels, with the separator between them."""

    may_be_empty = True
    missing = labels_lib.MISSING

    def unified(
        self, labels: Sequence[pd.Series], *, merge_case: bool | None
    ) -> dict[str, str]:
        """See `LabelType`."""
        sets = {
            text: labels_lib.split(text, self.separator)
            for one in labels
            for text in one
        }
        counts = Counter(
            label for one in labels for text in one for label in sets[text]
        )
        names = labels_lib.unified_names(counts, merge_case=merge_case)
        return {
            text: json.dumps([names.get(label, label) for label in one])
            for text, one in sets.items()
            if names.keys() & set(one)
        }

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """See `LabelType`."""
        _check_lists(train)
        names = labels_lib.class_names(
            label
            for labels in train["label"]
            for label in labels_lib.split(labels, self.separator)
        )
        for name in names:
            if self.separator in name:
                raise InputError(
                    f"the label {name!r} holds the separator; name another "
                    "with --label_separator"
                )
        if len(names) < 2:
            raise InputError(
                f"the {len(train):,} training rows have "
                f"{f'one label, {names[0]!r}' if names else 'no label'}; "
                "--task=multi_label needs at least two. Are --label_column "
                f"and --label_separator={self.separator!r} right?"
            )
        labels_lib.check_one_line(names)
        return names

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """See `LabelType`."""
        _check_lists(examples)
        known = set(class_names)
        rows = zip(
            examples["label"], examples["path"], examples["line"], strict=True
        )
        for labels, path, line in rows:
            for label in labels_lib.split(labels, self.separator):
                if label not in known:
                    raise InputError(
                        f"{place(path, line)}: the label "
                        f"{_not_in_training(label, class_names)}"
                    )

    def count(self, labels: pd.Series) -> dict[str, int]:
        """See `LabelType`."""
        counts = Counter(
            label
            for one in labels
            for label in labels_lib.split(one, self.separator)
        )
        return {name: counts[name] for name in labels_lib.class_names(counts)}


class TagSequence(LabelType):
    """A tag for each word, IOB2."""

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Returns O, then B and I of each type of entity."""
        _check_tags(train)
        kinds = sorted(
            {tag[2:] for tags in train["label"] for tag in tags.split(" ")}
            - {""}
        )
        if not kinds:
            raise InputError(
                f"the {len(train):,} training rows have no tag but O; is this "
                "the right file?"
            )
        names = [f"{prefix}-{kind}" for kind in kinds for prefix in "BI"]
        return (OUTSIDE, *names)

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """Raises InputError for tags that are unknown or not IOB2."""
        _check_tags(examples)
        known = set(class_names)
        for row in examples.itertuples():
            for i, tag in enumerate(row.label.split(" ")):
                if tag not in known:
                    raise InputError(
                        f"{place(row.path, _line(row, i))}: the tag "
                        f"{_not_in_training(tag, class_names)}"
                    )

    def count(self, labels: pd.Series) -> dict[str, int]:
        """Returns how many entities there are of each type."""
        counts = Counter(
            tag[2:]
            for tags in labels
            for tag in tags.split(" ")
            if tag.startswith("B-")
        )
        return dict(sorted(counts.items()))


class AnswerSpans(LabelType):
    """The answers to a question, each with its place in the context."""

    group_field = "text_pair"

    def class_names(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Returns (); there must be contexts."""
        if train["text_pair"].iloc[0] is None:
            raise InputError(
                "--task=span needs a question and a context: a .json file in "
                "the format of SQuAD, or columns question, context and answers"
            )
        return ()

    def check(self, examples: pd.DataFrame, class_names: Sequence[str]) -> None:
        """Raises InputError where an answer is not where it is said to be."""
        del class_names
        for row in examples.itertuples():
            for text, start in answers_of(row):
                if not text or row.text_pair[start : start + len(text)] != text:
                    raise InputError(
                        f"{row.path}, question {row.id or row.line}: the "
                        f"context does not have the answer {text!r} at its "
                        f"answer_start {start}"
                    )

    def strata(self, labels: pd.Series) -> pd.Series:
        """Returns whether there is an answer."""
        return labels.map(lambda answers: str(answers != "[]"))

    def count(self, labels: pd.Series) -> dict[str, int]:
        """Returns how many questions have an answer."""
        none = int((labels == "[]").sum())
        counts = {"answer": len(labels) - none, "no answer": none}
        return {name: count for name, count in counts.items() if count}


_LABEL_TYPES = {
    "classification": ClassLabel,
    "regression": NumberLabel,
    "multi_label": LabelSet,
    "token": TagSequence,
    "span": AnswerSpans,
}


def of_task(task: str, *, separator: str = ",") -> LabelType:
    """Returns what the labels of a task are, by what --task is."""
    return _LABEL_TYPES[task](separator)


def _check_lists(examples: pd.DataFrame) -> None:
    """Raises InputError where labels are no list of strings, and no string."""
    rows = zip(
        examples["label"], examples["path"], examples["line"], strict=True
    )
    for labels, path, line in rows:
        value = labels_lib.json_value(labels)
        items = value if isinstance(value, list) else []
        if isinstance(value, dict) or not all(
            isinstance(item, str | int | float) for item in items
        ):
            raise InputError(
                f"{place(path, line)}: the labels {labels[:60]} are neither a "
                'list of strings, such as ["sports", "politics"], nor a string'
            )


def answers_of(row) -> list[tuple[str, int]]:
    """Returns the answers to a question and where they start."""
    try:
        return [
            (answer["text"], int(answer["answer_start"]))
            for answer in json.loads(row.label)
        ]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{row.path}, question {row.id or row.line}: the answers must be a "
            'JSON list such as [{"text": "in Paris", "answer_start": 17}], '
            f"empty where there is none, not {row.label[:60]!r}"
        ) from None


def _numbers_may_have_names(label: str, class_names: Sequence[str]) -> str:
    if label.isdigit() and not any(map(labels_lib.is_number, class_names)):
        return "; --label_names says what 0, 1, ... are called"
    return ""


def _not_in_training(label: str, class_names: Sequence[str]) -> str:
    return (
        f'"{label}" is not in the training data; it has: '
        f"{list_some(class_names, 20)}"
    )


def _line(row, word: int) -> int:
    """Returns the line of a word: CoNLL files have one for each."""
    return row.line + (word if ".conll" in row.path else 0)


def _check_tags(examples: pd.DataFrame) -> None:
    """Raises InputError where tags do not fit the words or are not IOB2."""
    for row in examples.itertuples():
        tags = row.label.split(" ")
        if len(tags) != len(row.text.split(" ")):
            raise InputError(
                f"{place(row.path, row.line)}: {len(row.text.split(' '))} "
                f"words and {len(tags)} tags; --task=token needs one tag a "
                "word, with one space between, or a .conll file"
            )
        before = OUTSIDE
        for i, tag in enumerate(tags):
            is_orphan = tag.startswith("I-") and before[2:] != tag[2:]
            if not _TAG.fullmatch(tag) or is_orphan:
                raise InputError(
                    f'{place(row.path, _line(row, i))}: the tag "{tag}" '
                    + ("follows no tag of its type" if is_orphan else "is not")
                    + " IOB2, where entities begin with B-, continue with I-, "
                    "and O is everything else; convert the file"
                )
            before = tag
