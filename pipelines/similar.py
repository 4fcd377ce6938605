r"""Finds the texts of files that are nearest to queries, by their vectors.

    python -m pipelines.similar --input_file=texts.csv "a query" "another"
    python -m pipelines.similar --input_file=texts.csv \
        --embeddings=vectors.npy "a query"

Prints cosine, id and text, the nearest first. --embeddings takes what
pipelines.embed wrote for the same files, which are else embedded each time.
"""

import os

from absl import flags

from bert_tf import quiet
from bert_tf.errors import InputError, shorten
from pipelines import app, common_flags, help_page

common_flags.define_input()
common_flags.define_columns()
common_flags.define_text()
common_flags.define_batch_size()
with help_page.group("Data"):
    _EMBEDDINGS = flags.DEFINE_string(
        "embeddings",
        None,
        "Vectors of the texts: the .npy file of pipelines.embed.",
    )
with help_page.group("Output"):
    _TOP_K = flags.DEFINE_integer(
        "top_k", 5, "How many texts for each query.", lower_bound=1
    )


def main(argv: list[str]) -> None:
    """Prints the nearest texts to each argument."""
    from bert_tf.inference import batch_prediction

    queries = argv[1:]
    if not queries:
        raise InputError("give one or more queries as arguments")
    ids, texts = batch_prediction.read_texts(
        flags.FLAGS.input_file, common_flags.read_options()
    )
    vectors = None
    if _EMBEDDINGS.value:
        vectors = _read_vectors(_EMBEDDINGS.value, len(texts))
    with quiet.imports():
        from bert_tf.inference import embeddings
        from bert_tf.presets import presets
    embedder = embeddings.Embedder(
        presets.resolve(flags.FLAGS.preset),
        max_seq_length=flags.FLAGS.max_seq_length,
        batch_size=flags.FLAGS.batch_size,
    )
    if vectors is None:
        vectors = embedder(texts)
    if vectors.shape[1] != embedder.width:
        raise InputError(
            f"--embeddings={_EMBEDDINGS.value} holds vectors of "
            f"{vectors.shape[1]} numbers, {flags.FLAGS.preset} makes "
            f"{embedder.width}: they are of another --preset"
        )
    nearest = embeddings.nearest(embedder(queries), vectors, _TOP_K.value)
    for query, rows, cosines in zip(queries, *nearest, strict=True):
        print(shorten(query))
        for row, cosine in zip(rows, cosines, strict=True):
            print(f"  {cosine:.4f}\t{ids[row]}\t{shorten(texts[row])}")


def _read_vectors(path: str, count: int):
    import numpy as np

    if not os.path.exists(path):
        raise InputError(f"--embeddings={path}: no such file")
    try:
        vectors = np.load(path, allow_pickle=False)
    except ValueError:
        raise InputError(f"--embeddings={path} is not a .npy file") from None
    if vectors.ndim != 2 or len(vectors) != count:
        raise InputError(
            f"--embeddings={path} holds {len(vectors):,} vectors, the input "
            f"{count:,} texts; make it again with pipelines.embed"
        )
    return vectors


if __name__ == "__main__":
    app.run_script(main, required=["input_file"], arguments="QUERY ...")
