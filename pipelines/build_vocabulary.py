r"""Learns a WordPiece vocabulary from files of raw text.

    python -m pipelines.build_vocabulary --train_file="corpus/*.txt" \
        --vocab_size=30522 --output_dir=vocabulary

Writes vocab.txt, and tokenizer_config.json, which says how text meets it.
"""

import os

from absl import flags, logging

from bert_tf import run_dir
from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page

common_flags.define_raw_text()
with help_page.group("Model"):
    _VOCAB_SIZE = flags.DEFINE_integer(
        "vocab_size",
        30522,
        "Tokens at most, special ones included. 30,522 is BERT's; 8,000 to "
        "16,000 suit a few million words.",
        lower_bound=16,
    )
    _LOWERCASE = flags.DEFINE_boolean(
        "lowercase",
        True,
        "Drop case and accents (an uncased vocabulary); --nolowercase keeps "
        "both.",
    )
with help_page.group("Output"):
    _OUTPUT_DIR = flags.DEFINE_string(
        "output_dir", None, "Folder for vocab.txt; made where there is none."
    )
with help_page.group("Advanced"):
    _RESERVED_TOKENS = flags.DEFINE_list(
        "reserved_tokens",
        [],
        "Tokens to keep room for after the special ones, such as [unused0].",
    )
    _MIN_FREQUENCY = flags.DEFINE_integer(
        "min_frequency",
        2,
        "Pieces are not joined where they meet less often.",
        lower_bound=1,
    )


def main(argv: list[str]) -> None:
    """Trains the vocabulary and says where it is."""
    del argv
    from bert_tf.pretraining import documents, vocabulary_training

    path = os.path.join(_OUTPUT_DIR.value, run_dir.VOCABULARY)
    if os.path.exists(path):
        raise InputError(f"{path} is there already; name another --output_dir")
    vocabulary = vocabulary_training.train_vocabulary(
        list(
            documents.read_documents(
                common_flags.FLAGS.train_file,
                common_flags.read_options(),
            )
        ),
        size=_VOCAB_SIZE.value,
        lowercase=_LOWERCASE.value,
        reserved_tokens=_RESERVED_TOKENS.value,
        min_frequency=_MIN_FREQUENCY.value,
    )
    path = vocabulary_training.write_vocabulary(_OUTPUT_DIR.value, vocabulary)
    logging.info(
        "%d tokens (%s) are in %s. Next:\n  %s "
        "--train_file=%s --vocab_file=%s --output_dir=RUN",
        len(vocabulary.tokens),
        "uncased" if vocabulary.lowercase else "cased",
        path,
        app.command("pretrain"),
        ",".join(common_flags.FLAGS.train_file),
        path,
    )


if __name__ == "__main__":
    app.run_script(main, required=["train_file", "output_dir"])
