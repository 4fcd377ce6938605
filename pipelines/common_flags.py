"""Flags that several scripts share, each declared once."""

import dataclasses

from absl import flags

from bert_tf.config import base
from bert_tf.config import training as config
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers import registry
from pipelines import help_page

FLAGS = flags.FLAGS


def define_columns(group: str = "Advanced") -> None:
    """Declares which columns hold what."""
    with help_page.group("Data"):
        flags.DEFINE_string(
            "text_column",
            None,
            "Column of the text; found by common names (text, sentence, "
            "question, ...) unless given. Several, separated by commas, are "
            "joined.",
        )
    with help_page.group(group):
        flags.DEFINE_string(
            "text_pair_column",
            None,
            "Column of the second text of a pair; without it, and without "
            "common names for pairs (text_a and text_b, premise and "
            "hypothesis, ...), there is one text.",
        )
        flags.DEFINE_string(
            "id_column",
            None,
            "Column that names a row in predictions; found as id, idx, guid "
            "or index, else rows are numbered from 1.",
        )
    define_reading()


def define_label_column() -> None:
    """Declares where the label is."""
    with help_page.group("Data"):
        flags.DEFINE_string(
            "label_column",
            None,
            "Column of the label; found by common names (label, target, "
            "class, ...) unless given.",
        )
    define_label_names()


def define_label_names() -> None:
    """Declares what numbered labels are called."""
    with help_page.group("Advanced"):
        flags.DEFINE_list(
            "label_names",
            [],
            "What the labels 0, 1, ... of the files are called, as in "
            "negative,positive.",
        )


def define_reading() -> None:
    """Declares how files are read, where they do not say."""
    with help_page.group("Advanced"):
        flags.DEFINE_enum(
            "input_format",
            None,
            [
                name
                for name, one in registry.FORMATS.items()
                if one.is_folder is None
            ],
            "Format of the files, where the suffix does not say; standard "
            "input is a text a line unless this says otherwise.",
        )
        flags.DEFINE_string(
            "encoding",
            None,
            "Encoding of text files, such as cp1252. Default: UTF-8, or what "
            "their byte order mark says.",
        )
        flags.DEFINE_string(
            "delimiter",
            None,
            "What stands between fields: a character, or tab, comma, "
            "semicolon, pipe. Default: found, of these four.",
        )
        flags.DEFINE_boolean(
            "header",
            True,
            "The first row has the names of the columns; with --noheader they "
            "are 1, 2, ... or --column_names.",
        )
        flags.DEFINE_list(
            "column_names", [], "Names of the columns, instead of the header's."
        )
        flags.DEFINE_string(
            "escapechar",
            None,
            "What stands before a quote that is part of a text, such as \\; "
            "otherwise such quotes are doubled.",
        )


def read_options() -> ReadOptions:
    """Returns how to read files, by the flags that the script declares."""
    names = [field.name for field in dataclasses.fields(ReadOptions)]
    return ReadOptions(
        **{name: FLAGS[name].value for name in names if name in FLAGS}
    )


def define_stream() -> None:
    """Declares a stream of texts in, a file of answers out."""
    define_input()
    with help_page.group("Output"):
        flags.DEFINE_string(
            "output_file", None, "File to write; standard output unless given."
        )


def define_input() -> None:
    """Declares a stream of texts."""
    with help_page.group("Data"):
        flags.DEFINE_list(
            "input_file",
            [],
            "Files of texts (.csv, .tsv, .jsonl, .txt with a text a line, "
            ".parquet, .xlsx, ...): paths and globs, or - for standard input.",
        )


def define_files() -> None:
    """Declares the labelled files of training."""
    with help_page.group("Data"):
        flags.DEFINE_list(
            "train_file",
            None,
            "Labelled files to train on: paths and globs, separated by "
            "commas; .csv, .tsv, .jsonl, .parquet, .xlsx, a folder a class, "
            "... (docs/formats.md), local or remote (gs://, s3://); or a "
            "folder of pipelines.create_tfrecords.",
        )
        flags.DEFINE_list(
            "validation_file",
            [],
            "Labelled files that choose the best epoch. Default: a part of "
            "the training files, see --validation_split.",
        )
        flags.DEFINE_list(
            "test_file", [], "Labelled files that only the final model meets."
        )


def define_raw_text() -> None:
    """Declares files of unlabelled text."""
    with help_page.group("Data"):
        flags.DEFINE_list(
            "train_file",
            None,
            "Raw text: paths and globs, separated by commas. In .txt a blank "
            "line ends a document; in .jsonl, .csv, .parquet and the like each "
            "row is one; in .tfrecord each tf.train.Example has one in the "
            "feature `text`.",
        )
        flags.DEFINE_string(
            "text_column",
            None,
            "Column, or TFRecord feature, of the text; found by common names "
            "unless given.",
        )
    define_reading()


def define_text(
    preset: str | None = "minilm_l6_en_uncased", *, length: int | None = 128
) -> None:
    """Declares the checkpoint and the length; None leaves it to the data."""
    with help_page.group("Model"):
        flags.DEFINE_string(
            "preset",
            preset,
            "Pretrained encoder: minilm_l6_en_uncased (needs no model hub), a "
            "KerasNLP preset name, a KerasNLP or Transformers folder, one of "
            "Google's original checkpoints (bert_config.json, "
            "bert_model.ckpt.*), or an hf:// or kaggle:// handle.",
        )
        flags.DEFINE_integer(
            "max_seq_length",
            length,
            "Longest text in tokens, [CLS] and [SEP] included; the rest is "
            "cut off."
            + (
                " Default: what leaves 99% of the training texts whole, from "
                "64 to 256; with windows 128."
                if length is None
                else ""
            ),
        )


def define_incomplete() -> None:
    """Declares what becomes of rows and labels that are not as they should."""
    with help_page.group("Advanced"):
        flags.DEFINE_boolean(
            "drop_incomplete",
            False,
            "Leave out rows without text or label, and say how many; they are "
            "refused otherwise. Labels such as nan, None or N/A are none.",
        )
        flags.DEFINE_boolean(
            "merge_label_case",
            False,
            "Take labels that differ by case alone for one class; they are "
            "refused otherwise.",
        )


def define_task() -> None:
    """Declares what is learned."""
    with help_page.group("Model"):
        flags.DEFINE_enum(
            "task",
            "classification",
            config.TASKS,
            "classification: one class of several; regression: a number; "
            "multi_label: any number of labels; token: a tag for each word, "
            "IOB2; span: the answer to a question in its context.",
        )
    with help_page.group("Advanced"):
        flags.DEFINE_string(
            "label_separator",
            ",",
            "What stands between the labels of a text with --task=multi_label.",
        )


def define_schedule() -> None:
    """Declares what the learning rate does after the warm-up."""
    flags.DEFINE_enum(
        "learning_rate_schedule",
        "linear",
        base.SCHEDULES,
        "After the warm-up the learning rate falls to 0 linearly or along a "
        "cosine, or stays.",
    )


def define_model() -> None:
    """Declares a model of either kind."""
    with help_page.group("Model"):
        flags.DEFINE_string(
            "model", None, "A run folder or an exported SavedModel."
        )


def define_batch_size(name: str = "batch_size", default: int = 64) -> None:
    """Declares how many texts are answered at once."""
    with help_page.group("Advanced"):
        flags.DEFINE_integer(name, default, "Texts per step.", lower_bound=1)


def config_from_flags(config_class: type):
    """Copies each field of a config dataclass from the flag of its name."""
    return config_class(
        **{
            field.name: FLAGS[field.name].value
            for field in dataclasses.fields(config_class)
        }
    )
