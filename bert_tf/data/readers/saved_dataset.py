"""Folders of the datasets package's save_to_disk."""

import contextlib
import os
from collections.abc import Iterator

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Row, Table, with_class_names
from bert_tf.errors import InputError

_OF_SPLIT, _OF_SPLITS = "state.json", "dataset_dict.json"
_BATCH_ROWS = 1_000


def is_saved_dataset(path: str) -> bool:
    """Whether a folder is of one split, or of several."""
    return any(
        files.exists(os.path.join(path, name))
        for name in (_OF_SPLIT, _OF_SPLITS)
    )


def read(path: str, name: str, options: ReadOptions) -> Table:
    """Returns the rows of a split; class labels are names, not numbers."""
    del options
    import datasets

    if files.exists(os.path.join(path, _OF_SPLITS)):
        splits = [
            os.path.basename(os.path.dirname(one))
            for one in files.glob(os.path.join(path, "*", _OF_SPLIT))
        ]
        raise InputError(
            f"{path} holds several splits; name one: "
            f"{', '.join(os.path.join(path, split) for split in splits)}"
        )
    with _telling_of_damage(path):
        # A file that is mapped to memory and cut off would end the process,
        # and so would offsets that lead elsewhere.
        dataset = datasets.load_from_disk(path, keep_in_memory=True)
        dataset.data.table.validate(full=True)
    return Table(name, tuple(dataset.column_names), _rows(dataset, name))


@contextlib.contextmanager
def _telling_of_damage(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of JSON, of Arrow, and its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as a folder of save_to_disk ({reason})"
        ) from None


def _rows(dataset, name: str) -> Iterator[Row]:
    names_of = {}
    for column, feature in dataset.features.items():
        # Of a list of class labels, those of its items.
        names = getattr(getattr(feature, "feature", feature), "names", None)
        if names is not None:
            names_of[column] = names
    number = 0
    batches = dataset.iter(_BATCH_ROWS)
    while True:
        with _telling_of_damage(name):
            batch = next(batches, None)
        if batch is None:
            return
        for values in zip(*batch.values(), strict=True):
            number += 1
            fields = dict(zip(batch, values, strict=True))
            yield Row(name, number, with_class_names(fields, names_of))
