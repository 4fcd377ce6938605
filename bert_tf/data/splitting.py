"""A stratified, seeded split in which equal texts stay together."""

import numpy as np
import pandas as pd

from bert_tf.data.examples import text_keys
from bert_tf.errors import InputError


def split(
    examples: pd.DataFrame,
    *,
    fraction: float,
    seed: int,
    strata: pd.Series | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits off about `fraction` of every class, as (rest, split off).

    Rows of equal text (case and white space ignored) fall on one side as a
    whole, by the label of the first of them. The split does not depend on row
    order; each part keeps it. scikit-learn's own grouped and stratified
    splitters take only fractions 1/n and fail on classes of one text.

    Args:
        examples: the rows.
        fraction: share that is split off.
        seed: of the choice.
        strata: the class of each row, where it is not the label.

    Raises:
        InputError: nothing would be left on one side.
    """
    keys = text_keys(examples)
    labels = examples["label"] if strata is None else strata
    label_of_key = labels.groupby(keys).min()
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    for _, group in sorted(label_of_key.groupby(label_of_key)):
        names = np.array(sorted(group.index), dtype=object)
        count = int(np.floor(len(names) * fraction + 0.5))
        if len(names) > 1:
            count = min(max(count, 1), len(names) - 1)
        chosen.update(generator.permutation(names)[:count])
    mask = keys.isin(chosen)
    if not mask.any() or mask.all():
        raise InputError(
            f"{len(examples)} rows with {len(label_of_key)} different texts "
            "are too few to split off a validation part; give one with "
            "--validation_file"
        )
    return examples[~mask], examples[mask]
