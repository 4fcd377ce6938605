r"""Asks a TensorFlow Serving: arguments, a file or a stream; answers are JSON.

    python -m pipelines.query_server --server=localhost:8501 \
        --model_name=tweets "a text" "another"
    python -m pipelines.query_server --server=grpc://localhost:8500 \
        --model_name=tweets --version_label=stable --signature=top_k \
        --input_file=texts.csv --output_file=answers.jsonl

A line of JSON for each text, or pair, in their order, with its id. Of a model
with windows tokenize and tokens answer a list: an item for each window of the
text. Without texts it tells the state of the model's versions. Needs no
TensorFlow over REST.

    python -m pipelines.query_server --model_name=tweets --benchmark \
        --concurrency=8 --duration=30 --batch_size=1 --input_file=texts.csv

--benchmark asks the texts again and again, from several callers at once, and
prints latencies, rates and errors instead of answers.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence

from absl import flags, logging

from bert_tf.errors import InputError
from bert_tf.inference import batch_prediction
from bert_tf.inference.model_files import current_names, in_order, token_inputs
from bert_tf.serving.client.client import Client
from pipelines import app, common_flags, help_page
from pipelines.output import open_output

common_flags.define_stream()
common_flags.define_columns()
with help_page.group("Model"):
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
        "serving_default, top_k, tokenize, embed, or tokens (which asks "
        "tokenize first).",
    )
with help_page.group("Output"):
    _BENCHMARK = flags.DEFINE_boolean(
        "benchmark",
        False,
        "Measure the server: latencies, rates and errors instead of answers. "
        "Nothing is retried then.",
    )
with help_page.group("Advanced"):
    _CONCURRENCY = flags.DEFINE_integer(
        "concurrency",
        4,
        "Callers at once, of --benchmark.",
        lower_bound=1,
        upper_bound=1000,
    )
    _DURATION = flags.DEFINE_float(
        "duration", 10.0, "Seconds, of --benchmark.", lower_bound=0.1
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
        batches = batch_prediction.read_batches(
            flags.FLAGS.input_file, common_flags.read_options()
        )
    client = _build_client(_RETRIES.value)
    if _BENCHMARK.value:
        _benchmark(client, batches)
        return
    if not texts and not flags.FLAGS.input_file:
        for state in client.status():
            print(json.dumps(state))
        return
    names = _input_names(client)
    count = 0
    with open_output(flags.FLAGS.output_file) as file:
        for ids, segments in _requests(batches, _BATCH_SIZE.value):
            inputs = _name_inputs(names, segments)
            columns = {"id": ids, **inputs, **_ask(client, inputs)}
            for i in range(len(ids)):
                row = {name: values[i] for name, values in columns.items()}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            count += len(ids)
    logging.info("%d texts were answered.", count)


def _build_client(retries: int) -> Client:
    return Client(
        _SERVER.value,
        model=_MODEL_NAME.value,
        version=_MODEL_VERSION.value,
        label=_VERSION_LABEL.value,
        timeout_seconds=_TIMEOUT.value,
        retries=retries,
    )


def _benchmark(client: Client, batches: Iterator) -> None:
    """Prints what a load test has measured."""
    from bert_tf.serving.client import load_test

    if flags.FLAGS.output_file:
        raise InputError(
            "--benchmark prints no answers: leave out --output_file"
        )
    names = _input_names(client)
    requests = [
        _name_inputs(names, segments)
        for _, segments in _requests(batches, _BATCH_SIZE.value)
    ]
    if not requests:
        raise InputError("--benchmark needs texts, or an --input_file of them")
    # Asked again, an error would be a long latency.
    client = _build_client(retries=0)
    found = load_test.measure(
        lambda inputs: _ask(client, inputs),
        requests,
        concurrency=_CONCURRENCY.value,
        seconds=_DURATION.value,
    )
    print(load_test.describe(found, concurrency=_CONCURRENCY.value))


def _name_inputs(
    names: Sequence[str], segments: Sequence[list[str]]
) -> dict[str, list[str]]:
    """Returns the texts by the model's names; InputError where they differ."""
    if len(segments) != len(names):
        raise InputError(
            f"--model_name={_MODEL_NAME.value} takes {len(names)} texts per "
            f"row ({', '.join(names)}), the input has {len(segments)}; see "
            "--input_file, --text_column and --text_pair_column"
        )
    return dict(zip(names, segments, strict=True))


def _input_names(client: Client) -> tuple[str, ...]:
    """Returns what the model calls its texts, in the order of the columns."""
    signatures = client.metadata()
    asked = _SIGNATURE.value
    if asked == "tokens":
        asked = "tokenize"
    if asked not in signatures:
        raise InputError(
            f'the model has no signature "{asked}"; it has: '
            f"{', '.join(sorted(signatures))}"
        )
    inputs = signatures[asked]["inputs"]
    names = in_order(inputs)
    if not names:
        raise InputError(
            f"--model_name={_MODEL_NAME.value} takes {', '.join(inputs)}; "
            "this script only asks models that bert_tf exported"
        )
    return names


def _ask(client: Client, inputs: Mapping[str, list[str]]) -> dict[str, list]:
    """Returns the answers by name, an item for each text."""
    if _SIGNATURE.value != "tokens":
        outputs = current_names(
            client.predict(inputs, signature=_SIGNATURE.value)
        )
        example_index = outputs.pop("example_index", None)
    else:
        tokens = current_names(client.predict(inputs, signature="tokenize"))
        outputs = client.predict(token_inputs(tokens), signature="tokens")
        example_index = tokens.get("example_index")
    if example_index is None:
        return outputs
    count = len(next(iter(inputs.values())))
    return {
        name: _by_text(windows, example_index, count)
        for name, windows in outputs.items()
    }


def _by_text(
    windows: list, example_index: Sequence[int], count: int
) -> list[list]:
    """Returns the windows of each of `count` texts."""
    windows_by_text: list[list] = [[] for _ in range(count)]
    for window, example in zip(windows, example_index, strict=True):
        windows_by_text[example].append(window)
    return windows_by_text


def _requests(batches: Iterator[batch_prediction.Batch], size: int) -> Iterator:
    """Cuts batches of rows into requests."""
    for ids, segments in batches:
        rows = zip(ids, *segments, strict=True)
        while part := list(itertools.islice(rows, size)):
            ids_part, *segments_part = zip(*part, strict=True)
            yield ids_part, tuple(list(texts) for texts in segments_part)


if __name__ == "__main__":
    app.run_script(main, required=["model_name"], arguments="TEXT ...")
