"""Asks a TensorFlow Serving: arguments, a file or a stream; answers are JSON.

    python -m pipelines.query_server --server=localhost:8501 \
        --model_name=tweets "a text" "another"
    python -m pipelines.query_server --server=grpc://localhost:8500 \
        --model_name=tweets --version_label=stable --signature=top_k \
        --input_file=texts.csv --output_file=answers.jsonl

A line of JSON for each text, in their order, with its id. Without texts it
tells the state of the model's versions. Needs no TensorFlow over REST.
"""

import itertools
import json
from collections.abc import Iterator

from absl import flags, logging

from bert_tf.errors import InputError
from bert_tf.serving import stream
from bert_tf.serving.client import Client
from pipelines import app, common_flags
from pipelines.output import open_output

common_flags.define_columns()
common_flags.define_stream()
flags.adopt_module_key_flags(common_flags)
_SERVER = flags.DEFINE_string(
    "server",
    "localhost:8501",
    "host:port or http(s)://host:port for REST, grpc://host:port for gRPC.",
)
_MODEL_NAME = flags.DEFINE_string("model_name", None, "Name of the model.")
_MODEL_VERSION = flags.DEFINE_integer(
    "model_version", None, "Its version; by default the newest served."
)
_VERSION_LABEL = flags.DEFINE_string(
    "version_label", None, "Instead of a version its label, such as stable."
)
_SIGNATURE = flags.DEFINE_string(
    "signature",
    "serving_default",
    "serving_default, top_k, tokenize, embed, or tokens (which asks tokenize "
    "first).",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "Texts a request.", lower_bound=1
)
_TIMEOUT = flags.DEFINE_float(
    "timeout", 10.0, "Seconds that one attempt may take.", lower_bound=0.001
)
_RETRIES = flags.DEFINE_integer(
    "retries",
    4,
    "How often a request is repeated when the server is busy or cannot be "
    "reached.",
    lower_bound=0,
)


def main(argv: list[str]) -> None:
    """Sends the arguments, or the rows of the input files."""
    # Bytes of an argument that are not UTF-8 are left out.
    texts = [text.encode("utf-8", "ignore").decode() for text in argv[1:]]
    if texts and flags.FLAGS.input_file:
        raise InputError("give texts as arguments or --input_file, not both")
    batches = iter(
        [([str(i + 1) for i in range(len(texts))], (texts,))] if texts else []
    )
    if flags.FLAGS.input_file:
        batches = stream.read_batches(
            flags.FLAGS.input_file,
            file_format=flags.FLAGS.input_format,
            **common_flags.column_names(),
        )
    client = Client(
        _SERVER.value,
        model=_MODEL_NAME.value,
        version=_MODEL_VERSION.value,
        label=_VERSION_LABEL.value,
        timeout_seconds=_TIMEOUT.value,
        retries=_RETRIES.value,
    )
    if not texts and not flags.FLAGS.input_file:
        for state in client.status():
            print(json.dumps(state))
        return
    count = 0
    with open_output(flags.FLAGS.output_file) as file:
        for ids, segments in _requests(batches, _BATCH_SIZE.value):
            outputs = _ask(client, segments)
            for i, row_id in enumerate(ids):
                row = {"id": row_id, **_texts(segments, i)}
                row |= {name: rows[i] for name, rows in outputs.items()}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            count += len(ids)
    logging.info("%d texts were answered.", count)


def _ask(client: Client, segments: tuple[list[str], ...]) -> dict[str, list]:
    inputs = {name: texts for name, texts in _named(segments)}
    if _SIGNATURE.value != "tokens":
        return client.predict(inputs, signature=_SIGNATURE.value)
    return client.predict(
        client.predict(inputs, signature="tokenize"), signature="tokens"
    )


def _named(segments: tuple[list[str], ...]) -> Iterator[tuple]:
    names = ("text",) if len(segments) == 1 else ("text_a", "text_b")
    return zip(names, segments, strict=True)


def _texts(segments: tuple[list[str], ...], row: int) -> dict[str, str]:
    return {name: texts[row] for name, texts in _named(segments)}


def _requests(batches: Iterator[stream.Batch], size: int) -> Iterator:
    """Cuts batches of rows into requests."""
    for ids, segments in batches:
        rows = zip(ids, *segments, strict=True)
        while part := list(itertools.islice(rows, size)):
            ids_part, *segments_part = zip(*part, strict=True)
            yield ids_part, tuple(list(texts) for texts in segments_part)


if __name__ == "__main__":
    flags.mark_flags_as_required(["model_name"])
    app.run_script(main)
