"""From files to a SavedModel that answers as the trained model, every task."""

import csv
import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.data import encoding
from bert_tf.errors import InputError
from bert_tf.evaluation import attribution, comparison
from bert_tf.inference import interactive, loaded_run
from bert_tf.inference.keras_predictor import KerasPredictor
from bert_tf.inference.model_files import token_inputs
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.models import backbones
from bert_tf.serving import bundle, operation_check
from bert_tf.serving.export import check_parity, export
from tests.runs import evaluate_files, write_evaluation
from tests.serving import hermetic, native_loader
from tests.serving.hostile import SHORTER
from tests.tasks.conftest import NAMES
from tests.tasks.files import write_rows


def metrics_of(run: str) -> dict:
    return run_dir.read_json(os.path.join(run, run_dir.METRICS))


def ask(predictor, *columns, signature="serving_default") -> dict:
    return predictor.call(
        signature,
        {
            name: np.array(column, object)
            for name, column in zip(predictor.inputs, columns, strict=True)
        },
    )


def check_same(found: dict, expected: dict) -> None:
    """Answers may be padded to different lengths."""
    assert set(found) == set(expected)
    for name, wanted in expected.items():
        values, wanted = np.asarray(found[name]), np.asarray(wanted)
        assert values.shape[0] == wanted.shape[0], name
        if wanted.ndim == 2:
            width = min(values.shape[1], wanted.shape[1])
            assert not values[:, width:].any() and not wanted[:, width:].any()
            values, wanted = values[:, :width], wanted[:, :width]
        if np.issubdtype(wanted.dtype, np.floating):
            np.testing.assert_allclose(values, wanted, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(values, wanted, err_msg=name)


def decoded(answers: dict) -> dict:
    return {
        name: np.char.decode(value.astype(bytes))
        if value.dtype == object
        else value
        for name, value in answers.items()
    }


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if native_loader.compiler() is None:
        pytest.skip("there is no C compiler")
    return native_loader.build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def alone(trained_task, tmp_path_factory):
    """The answers of a process that has TensorFlow and its text only."""
    runs = [trained_task(name) for name in NAMES]
    requests = {}
    for run in runs:
        inputs = run.predictor.inputs
        texts = {n: [t] for n, t in zip(inputs, run.example, strict=True)}
        requests[run.name] = (run.model, texts)
    return hermetic.answers(requests, tmp_path_factory.mktemp("hermetic"))


@pytest.mark.slow
def test_with_tensorflow_and_its_text_only(task_run, alone):
    here = ask(
        task_run.predictor,
        *([text.encode()] for text in task_run.example),
    )
    check_same(alone[task_run.name], decoded(here))


@pytest.mark.slow
def test_without_python(task_run, program):
    """A C program gets the answers that Python does, whatever it asks."""
    predictor = task_run.predictor
    texts = [task_run.example[-1].encode(), *task_run.hostile]
    with native_loader.NativeLoader(
        program,
        task_run.model,
        native_loader.operation_libraries(),
        "serving_default",
    ) as loader:
        for start, end in ((0, 1), (1, 4), (4, len(texts))):
            # Of pairs, each text meets another.
            columns = (texts[start:end], texts[start:end][::-1])
            columns = dict(zip(predictor.inputs, columns, strict=False))
            found, _ = loader.ask(*(columns[name] for name in sorted(columns)))
            check_same(found, ask(predictor, *columns.values()))
    assert loader.exit_status == 0


@pytest.fixture(params=["short", pytest.param("long", marks=pytest.mark.slow)])
def hostile(request, task_run) -> list[bytes]:
    """Hostile texts; the long ones are a megabyte."""
    if request.param == "short":
        return SHORTER
    if task_run.hostile is SHORTER:
        pytest.skip("a megabyte is tens of thousands of windows")
    return task_run.hostile


def test_hostile_texts_leave_their_neighbours_alone(task_run, hostile):
    predictor = task_run.predictor
    example = [text.encode() for text in task_run.example]
    wrong = b"\xff\xfe" + example[-1]
    rows = [example, [*example[:-1], wrong]]
    for text in hostile:
        rows.append([*example[:-1], text])
        if len(example) > 1:
            rows.append([text, *example[1:]])
    together = ask(predictor, *map(list, zip(*rows, strict=True)))
    for name, value in together.items():
        assert len(value) == len(rows), name
        if np.issubdtype(value.dtype, np.floating):
            assert np.isfinite(value).all(), name
    for number, row in enumerate(rows):
        found = {name: value[[number]] for name, value in together.items()}
        check_same(found, ask(predictor, *([text] for text in row)))
    # Bytes that are no UTF-8 are passed over.
    check_same(
        {name: value[[1]] for name, value in together.items()},
        {name: value[[0]] for name, value in together.items()},
    )


def test_no_text_at_all(task_run):
    predictor = task_run.predictor
    nothing = [np.array([], object)] * len(predictor.inputs)
    for signature in predictor.signatures:
        if signature != "tokens":
            answer = ask(predictor, *nothing, signature=signature)
            assert {len(value) for value in answer.values()} == {0}


def test_cells_of_hostile_texts(task_run, hostile):
    """As pipelines.predict writes them; a command line has surrogates."""
    texts = [text.decode(errors="replace") for text in hostile]
    texts.append("\ud800" + task_run.example[-1])
    columns = [[text] * len(texts) for text in task_run.example[:-1]]
    predictor = task_run.predictor
    cells = predictor.predict_rows((*columns, texts), batch_size=3)
    task = predictor.task
    for answer, details in cells:
        assert len(answer) == len(task.answer_columns)
        assert len(details) == len(task.detail_columns)
    plain = predictor.predict_rows(tuple([text] for text in task_run.example))
    expected = dict(
        zip(
            (*task.answer_columns, *task.detail_columns),
            (*plain[0][0], *plain[0][1]),
            strict=True,
        )
    )
    assert task.max_abs_difference(expected, cells[-1]) < 1e-5


def test_answers_to_lines(task_run):
    """Pairs are two lines, or one with a tab between the texts."""
    predictor = task_run.predictor
    example = task_run.example
    lines = [*example, "\t".join(example), "quit"]
    shown = list(
        interactive.answer_lines(
            predictor,
            lambda prompt: lines.pop(0),
            explain=attribution.explain,
            is_terminal=False,
        )
    )
    ((cells, details),) = predictor.predict_rows(
        tuple([text] for text in example)
    )
    half = len(shown) // 2
    assert shown[:half] == shown[half:]
    assert shown[0] == interactive.format_answer(predictor.task, cells)
    assert len(shown[:half]) == 1 + bool(details) + (
        task_run.name == "classification"
    )


def test_run_and_saved_model_evaluate_alike(task_run, tmp_path):
    both = [
        evaluate_files(path, [task_run.file])
        for path in (task_run.run, task_run.model)
    ]
    np.testing.assert_allclose(
        both[0].predictions, both[1].predictions, atol=1e-4
    )
    for key, value in both[0].metrics.items():
        if key.startswith("eval_") and not key.endswith(("runtime", "second")):
            assert both[1].metrics[key] == pytest.approx(value, abs=1e-4), key
    compared = comparison.compare(*both)
    assert "No difference beyond chance" in comparison.conclusion(compared)
    headline = compared["headline_metric"]
    low, high = both[0].metrics["confidence_intervals"][headline]
    assert low <= both[0].metrics[headline] <= high
    write_evaluation(task_run.model, [task_run.file], tmp_path)
    assert {"report.html", "predictions.csv"} <= set(os.listdir(tmp_path))


def evaluated(task_run, count=20):
    """The SavedModel, the run, and texts and rows of its evaluation."""
    predictor = task_run.predictor
    with open(f"{task_run.run}/predictions.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["text"]][:count]
    columns = ("text", "text_pair") if predictor.has_pairs else ("text",)
    segments = tuple([row[column] for row in rows] for column in columns)
    trained = loaded_run.open_model(task_run.run, batch_size=64)
    return predictor, trained, segments, rows


def test_parity_gate_refuses_other_answers(task_run):
    predictor, trained, segments, rows = evaluated(task_run)
    task = predictor.task
    asked = predictor, trained, segments, rows
    assert check_parity(*asked, tolerance=1e-5) <= 1e-5
    if task.name == "token":
        entities = json.loads(rows[3]["entities"])
        entities[0]["score"] += 2e-5
        rows[3]["entities"] = json.dumps(entities)
    else:
        column = (task.detail_columns or task.answer_columns)[-1]
        value = float(rows[3][column])
        rows[3][column] = str(value + 2e-5 * max(1.0, abs(value)))
    with pytest.raises(InputError, match="nothing was published"):
        check_parity(*asked, tolerance=1e-5)


@pytest.mark.parametrize("name", ["classification", "multi_label"])
def test_parity_gate_refuses_other_labels(trained_task, name):
    """The numbers alone are right where the names or thresholds are not."""
    asked = evaluated(trained_task(name))
    rows = asked[-1]
    check_parity(*asked, tolerance=1e-5)
    others = {row["label"] for row in rows} - {rows[3]["label"]}
    rows[3]["label"] = min(others)
    with pytest.raises(InputError, match="nothing was published"):
        check_parity(*asked, tolerance=1e-5)


@pytest.mark.parametrize("name", ["token", "span"])
def test_parity_gate_allows_near_ties_alone(trained_task, name):
    """A flipped entity or span has to be within the tolerance of its own."""
    asked = evaluated(trained_task(name))
    predictor, trained, segments, rows = asked
    encoded = trained.encode(segments)
    margins = trained.task.margins(encoded, trained.predict_encoded(encoded))
    assert (margins > 0).all() and (margins <= 0.5).all()
    # The nearest, but not within what float32 rounds away.
    row = int(np.where(margins > 1e-4, margins, np.inf).argmin())
    assert margins[row] > 1e-4
    column = predictor.task.answer_columns[0]
    rows[row][column] = "[]" if name == "token" else "another answer"
    check_parity(*asked, tolerance=margins[row] * 1.01)
    with pytest.raises(InputError, match="nothing was published"):
        check_parity(*asked, tolerance=margins[row] * 0.99)


@pytest.mark.parametrize(
    "name", ["classification", "windows", "multi_label", "token"]
)
def test_an_export_with_other_names_is_refused(
    trained_task, name, tmp_path, monkeypatch
):
    """What is served is asked: labels.txt alone would not show it."""
    kind = type(loaded_run.load(trained_task(name).run).task)
    signatures = kind.signatures

    def with_others(task):
        names = task.class_names
        # Of tags the types of the entities.
        turned = (
            (names[0], *reversed(names[1:]))
            if name == "token"
            else (names[1:] + names[:1])
        )
        return signatures(dataclasses.replace(task, class_names=turned))

    monkeypatch.setattr(kind, "signatures", with_others)
    with pytest.raises(InputError, match="nothing was published"):
        export(trained_task(name).run, name="m", models_dir=str(tmp_path))
    assert not any(entry.name.isdigit() for entry in (tmp_path / "m").glob("*"))


@pytest.mark.parametrize("name", ["windows", "span"])
def test_warm_up_asks_nothing_that_batching_refuses(trained_task, name):
    """Answers of more rows than texts: the server would not load the model."""
    from tests.serving.warm_up_test import records

    found = trained_task(name)
    requests = [log.predict_log.request for log in records(found.model)]
    asked = {request.model_spec.signature_name for request in requests}
    assert asked == {*found.predictor.signatures} - {"tokenize"}


@pytest.mark.parametrize("name", ["windows", "span", "token"])
def test_query_server_asks_every_task(
    trained_task, tmp_path, monkeypatch, name
):
    from tests.serving.client_test import query
    from tests.serving.conftest import Server
    from tests.serving.stand_in import StandIn
    from tests.serving.stand_in_server import serve

    task_run = trained_task(name)
    predictor = task_run.predictor
    *first, last = task_run.example
    # Several windows, one, several.
    columns = [*([text] * 3 for text in first), [last * 3, "good", last * 2]]
    path = write_rows(
        tmp_path / "in.csv", predictor.inputs, zip(*columns, strict=True)
    )
    encoded = [[text.encode() for text in column] for column in columns]
    tokens = ask(predictor, *encoded, signature="tokenize")
    expected = {
        "serving_default": ask(predictor, *encoded),
        "tokenize": {**tokens},
        "tokens": predictor.call("tokens", token_inputs(tokens)),
    }
    example_index = expected["tokenize"].pop("example_index", None)
    assert (example_index is None) == (name == "token")
    folder = os.path.dirname(task_run.model)
    config = f"{folder}/serving/models.config"
    meta_graph = operation_check.read_meta_graph(task_run.model)
    # Loading it once more, and the warm-up, would take seconds.
    monkeypatch.setattr(
        StandIn, "_load", lambda *_: (predictor, meta_graph.signature_def)
    )
    stand_in = StandIn(config, os.path.dirname(folder))
    with serve(stand_in) as (rest, grpc):
        server = Server(rest, grpc, name, predictor, stand_in)
        for signature, wanted in expected.items():
            done = query(
                server, f"--input_file={path}", f"--signature={signature}"
            )
            assert done.returncode == 0, done.stderr
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            for input_name, column in zip(
                predictor.inputs, columns, strict=True
            ):
                assert [row.pop(input_name) for row in rows] == column
            assert [row.pop("id") for row in rows] == ["1", "2", "3"]
            found = {key: [row[key] for row in rows] for key in rows[0]}
            if example_index is not None and signature != "serving_default":
                for key, texts in found.items():
                    counts = [len(windows) for windows in texts]
                    assert counts == np.bincount(example_index).tolist()
                    found[key] = sum(texts, [])
            check_same(found, decoded(wanted))


def test_each_weight_is_stored_once(task_run):
    model = loaded_run.load(task_run.run).model
    size = 4 * backbones.count_parameters(model)
    data = f"{task_run.model}/variables/variables.data-00000-of-00001"
    # The file also holds the names; only a small model notices.
    assert size <= os.path.getsize(data) <= 1.1 * size + 10_000


def test_the_graph_holds_its_tokenizer_once(task_run):
    """Whatever the number of signatures: a traced function is not copied."""
    library = operation_check.read_meta_graph(task_run.model).graph_def.library
    tokenizers = [
        node.op
        for function in library.function
        for node in function.node_def
        if node.op == "FastWordpieceTokenizeWithOffsets"
    ]
    inputs = task_run.predictor.inputs
    assert len(tokenizers) == len(inputs)


def test_every_tensorflow_serving_runs_it(task_run):
    meta_graph = operation_check.read_meta_graph(task_run.model)
    names = operation_check.operations(meta_graph)
    assert "FastWordpieceTokenizeWithOffsets" in names
    assert operation_check.foreign_operations(names)
    for version in bundle.serving_versions():
        assert operation_check.problems(meta_graph, version) == []


def test_regression_learns(trained_task):
    run = trained_task("regression").run
    metrics = metrics_of(run)
    assert metrics["eval_pearson"] > 0.7
    assert (
        metrics["eval_mean_squared_error"]
        < metrics["mean_baseline_squared_error"]
    )
    assert metrics["best"]["metric"] == "pearson"
    files = set(os.listdir(run))
    assert {"report.html", "README.md", "predictions.csv"} <= files
    assert "confusion_matrix.png" not in files


def test_multi_label_learns(trained_task):
    found = trained_task("multi_label")
    metrics = metrics_of(found.run)
    # Both labels always would be 0.67.
    assert metrics["eval_f1_micro"] > 0.75
    assert set(metrics["per_class"]) == {"up", "down"}
    with open(os.path.join(found.model, "assets.extra", "task.json")) as file:
        saved = json.load(file)
    assert saved["parameters"]["thresholds"] == metrics["thresholds"]


def test_multi_label_answers(trained_task):
    model = SavedModelPredictor(trained_task("multi_label").model)
    texts = ["the plot good bad x", "the plot good x", "the plot x"]
    answers = ask(model, texts)
    names = np.array(model.task.class_names)
    limits = np.float32(model.task.thresholds)
    cells = model.predict_rows((texts,))
    for row, chances in enumerate(answers["probabilities"]):
        order = np.argsort(-chances, kind="stable")
        wanted = [i for i in order if chances[i] >= limits[i]]
        count = len(wanted)
        assert answers["count"][row] == count
        labels = [label.decode() for label in answers["labels"][row]]
        assert labels == [*names[wanted], *[""] * (2 - count)]
        np.testing.assert_array_equal(
            answers["scores"][row, :count], chances[wanted]
        )
        assert not answers["scores"][row, count:].any()
        assert cells[row][0] == [";".join(names[wanted])]


def test_windows_learn(trained_task):
    """What tells the label is beyond the first window."""
    found = trained_task("windows")
    assert metrics_of(found.run)["eval_accuracy"] > 0.9
    model = found.predictor
    texts = [
        "x y z " * before + f"{word} " * 8
        for word in ("great", "awful")
        for before in (5, 6, 7)
    ]
    labels = [cells[0] for cells, _ in model.predict_rows((texts,))]
    assert labels == ["pos"] * 3 + ["neg"] * 3
    # 36,000 windows.
    chances = model.probabilities((["a" + " x" * 250_000 + " good"],))
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-5)


def test_one_window_is_the_whole_text(trained_task):
    """A short text is answered as without windows."""
    found = trained_task("windows")
    known = loaded_run.load(found.run)
    texts = ["a good film", "", "x " * 13 + "bad"]
    cut = KerasPredictor(
        known.model,
        task=dataclasses.replace(known.task, stride=None),
        strategy=tf.distribute.get_strategy(),
        batch_size=4,
        pad_token_id=0,
    )
    encoded = encoding.encode(known.preprocessor, (texts,))
    assert encoded.lengths.max() == known.config.max_seq_length
    np.testing.assert_allclose(
        cut(encoded),
        found.predictor.probabilities((texts,)),
        atol=1e-6,
    )


def test_token_learns(trained_task):
    found = trained_task("token")
    metrics = metrics_of(found.run)
    assert metrics["eval_f1"] > 0.9
    assert set(metrics["per_class"]) == {"up", "down"}
    text = "the x  GOOD, (sad é) y"
    ((cells, _),) = found.predictor.predict_rows(([text],))
    entities = json.loads(cells[0])
    assert (entities[0]["label"], entities[0]["entity"]) == ("up", "GOOD")
    for one in entities:
        assert text[one["start"] : one["end"]] == one["entity"]


def test_span_learns(trained_task):
    """The answer may be far beyond the model's length."""
    found = trained_task("span")
    metrics = metrics_of(found.run)
    assert metrics["eval_f1"] > 0.8
    assert metrics["eval_f1_no_answer"] is not None
    context = "é " * 300 + "great " + "y " * 300
    ((cells, _),) = found.predictor.predict_rows((["a good ?"], [context]))
    answer, start, end, _ = cells
    assert answer == "great"
    assert context[int(start) : int(end)] == answer
