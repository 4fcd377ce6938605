r"""Writes a vector for each text of files: mean-pooled, of length 1.

    python -m pipelines.embed --input_file=texts.csv --output_file=vectors.npy
    python -m pipelines.embed --input_file=texts.csv \
        --output_file=vectors.parquet

.npy holds <float32>[texts, width] in the order of the texts; .parquet a row
for each text, with id, text and embedding.
"""

import os

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import InputError, InstallationError
from pipelines import app, common_flags, output

common_flags.define_stream()
common_flags.define_columns()
common_flags.define_text()
common_flags.define_batch_size()

_SUFFIXES = (".npy", ".parquet")


def main(argv: list[str]) -> None:
    """Embeds the rows of the input files."""
    del argv
    from bert_tf.inference import batch_prediction

    path = flags.FLAGS.output_file
    suffix = os.path.splitext(path)[1]
    if suffix not in _SUFFIXES:
        raise InputError(f"--output_file={path} must end with .npy or .parquet")
    ids, texts = batch_prediction.read_texts(
        flags.FLAGS.input_file, common_flags.read_options()
    )
    with quiet.imports():
        from bert_tf.inference import embeddings
        from bert_tf.presets import presets
    preset = presets.resolve(flags.FLAGS.preset)
    with output.written_aside(path) as aside:
        vectors = embeddings.Embedder(
            preset,
            max_seq_length=flags.FLAGS.max_seq_length,
            batch_size=flags.FLAGS.batch_size,
        )(texts)
        _write(aside, suffix, ids, texts, vectors)
    logging.info("%d vectors of %d numbers are in %s.", *vectors.shape, path)


def _write(path: str, suffix: str, ids, texts, vectors) -> None:
    import numpy as np
    import pandas as pd

    if suffix == ".npy":
        with open(path, "wb") as file:
            np.save(file, vectors)
        return
    table = pd.DataFrame({"id": ids, "text": texts})
    table["embedding"] = list(vectors)
    try:
        table.to_parquet(path, index=False)
    except ImportError:
        raise InstallationError(
            "Parquet needs the package pyarrow: pip install pyarrow, or name "
            "an --output_file that ends with .npy"
        ) from None


if __name__ == "__main__":
    app.run_script(main, required=["input_file", "output_file"])
