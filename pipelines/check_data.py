"""Says what is in labelled files, what is wrong, and which length to choose.

python -m pipelines.check_data --train_file=train.csv --test_file=test.csv
"""

import json

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page, output

common_flags.define_files()
common_flags.define_columns("Data")
common_flags.define_label_column()
common_flags.define_text(length=None)
common_flags.define_task()
common_flags.define_incomplete()
with help_page.group("Output"):
    _JSON = flags.DEFINE_boolean("json", False, "Print JSON instead of lines.")
    _WRITE_CLEAN = flags.DEFINE_string(
        "write_clean",
        None,
        "Write the training rows as CSV to this path, incomplete ones left "
        "out; beside it, as NAME.left_out.csv, those and why.",
    )


def main(argv: list[str]) -> None:
    """Reads and tokenizes the files and prints the report."""
    del argv
    from bert_tf.data import examples, label_types
    from bert_tf.data import splits as splits_lib

    flag = common_flags.FLAGS
    label_type = label_types.of_task(
        flag["task"].value, separator=flag["label_separator"].value
    )
    path = _WRITE_CLEAN.value
    if path and not path.endswith(".csv"):
        raise InputError(f"--write_clean={path} must end with .csv")
    options = common_flags.read_options()
    splits, left_out = {}, {}
    for name in ("train", "validation", "test"):
        if not flag[f"{name}_file"].value:
            continue
        splits[name], left_out[name], columns = examples.read_rows(
            flag[f"{name}_file"].value, options, label_type=label_type
        )
        examples.check_complete(
            splits[name],
            left_out[name],
            columns,
            drop_incomplete=flag["drop_incomplete"].value or bool(path),
        )
    splits = splits_lib.unify_labels(
        splits, label_type, merge_case=flag["merge_label_case"].value
    )
    class_names = label_type.class_names(splits["train"])
    for split in splits.values():
        label_type.check(split, class_names)
    if path:
        _write_clean(path, splits["train"], left_out["train"])
    with quiet.imports():
        from bert_tf.data import data_report, encoding
        from bert_tf.presets import presets
        from bert_tf.text.preprocessor import Preprocessor
    preset = presets.resolve(flag["preset"].value)
    longest, shortest = encoding.length_bounds(
        flag["max_seq_length"].value, max_positions=preset.max_positions
    )
    preprocessor = Preprocessor(preset.vocabulary, sequence_length=longest)
    encoded = {
        name: encoding.encode(preprocessor, examples.segments(split))
        for name, split in splits.items()
    }
    report = data_report.build_data_report(
        splits,
        encoded,
        max_seq_length=encoding.choose_length(
            encoded["train"].token_counts, longest, shortest
        ),
        max_positions=preset.max_positions,
        label_type=label_type,
        unknown_id=preprocessor.special_ids.unknown,
    )
    if _JSON.value:
        print(json.dumps(report, indent=2))
    else:
        print(data_report.describe(report))


def _write_clean(path: str, rows, incomplete) -> None:
    """Writes what would be trained on, and beside it what would not."""
    left_out = f"{path.removesuffix('.csv')}.left_out.csv"
    for file, frame, columns in (
        (path, rows, ["id", "text", "text_pair", "label"]),
        (left_out, incomplete, ["path", "line", "reason", "text", "label"]),
    ):
        given = [name for name in columns if frame[name].notna().any()]
        with output.written_aside(file) as aside:
            frame.to_csv(aside, columns=given or columns, index=False)
    logging.info(
        "%d rows are in %s; %d are left out, see %s.",
        len(rows),
        path,
        len(incomplete),
        left_out,
    )


if __name__ == "__main__":
    app.run_script(main, required=["train_file"])
