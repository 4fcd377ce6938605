"""Says what is in labelled files, what is wrong, and which length to choose.

python -m pipelines.check_data --train_file=train.csv --test_file=test.csv
"""

import functools
import json

from absl import flags

from bert_tf.data import checking, examples
from bert_tf.models import presets
from bert_tf.tasks import known
from bert_tf.text.preprocessing import Preprocessor
from pipelines import app, common_flags

common_flags.define_files()
common_flags.define_columns()
common_flags.define_label_column()
common_flags.define_text()
common_flags.define_task()
flags.adopt_module_key_flags(common_flags)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON instead of lines.")


def main(argv: list[str]) -> None:
    """Reads and tokenizes the files and prints the report."""
    del argv
    flag = common_flags.FLAGS
    task_class = known.task_class(flag["task"].value)
    parts = {
        name: examples.read_examples(
            flag[f"{name}_file"].value,
            labels_may_be_empty=task_class.labels_may_be_empty,
            **common_flags.column_names(),
        )[0]
        for name in ("train", "validation", "test")
        if flag[f"{name}_file"].value
    }
    preset = presets.resolve(flag["preset"].value)
    preprocessor = Preprocessor(
        preset.vocabulary, sequence_length=flag["max_seq_length"].value
    )
    separator = flag["label_separator"].value
    # Where windows start does not matter here.
    task = task_class.from_parts(
        parts, label_separator=separator, stride=preprocessor.sequence_length
    )
    for part in parts.values():
        task.check_labels(part)
    report = checking.check_data(
        parts,
        preprocessor,
        preset.max_positions,
        count_labels=functools.partial(
            task_class.count_labels, label_separator=separator
        ),
    )
    if _JSON.value:
        print(json.dumps(report, indent=2))
    else:
        print(checking.describe(report))


if __name__ == "__main__":
    flags.mark_flags_as_required(["train_file"])
    app.run_script(main)
