"""Each task in the formats of other libraries.

With PyTorch, Transformers and sentence-transformers installed, which the suite
does not do, their own models are asked, too.
"""

import os
import pathlib
import re

import keras_nlp
import numpy as np
import pytest
import safetensors.numpy

import bert_tf
from bert_tf.errors import InputError
from bert_tf.inference import loaded_run
from bert_tf.inference.onnx_predictor import OnnxPredictor
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.models import classifier
from bert_tf.presets import presets
from bert_tf.serving.formats import (
    export_format,
    keras_hub_preset,
    onnx_model,
    transformers_folder,
)
from bert_tf.serving.formats.evaluation_texts import EvaluationTexts
from bert_tf.training.train import train_files
from tests.models.encoder_test import features, sequence_output
from tests.presets.folders import CONFIGS, write_folder
from tests.runs import evaluate_files
from tests.scripts import run_script
from tests.serving.hostile import SHORTER
from tests.serving.transformers_tokenizer_test import awkward
from tests.training.train_test import without_times


def export(run, form, folder, **options) -> pathlib.Path:
    path = export_format.export(
        run, name="m", models_dir=str(folder), format=form, **options
    )
    return pathlib.Path(path)


def train_kind(kind, pooling, tiny_config, tmp_path) -> str:
    write_folder(kind, tmp_path / "preset")
    train_files(
        tiny_config(
            preset=str(tmp_path / "preset"), pooling=pooling, num_train_epochs=1
        )
    )
    return str(tmp_path / "run")


def check_awkward(run_path: str, library, folder: pathlib.Path) -> None:
    """500 texts that nobody wrote, hostile ones too, have the run's answers."""
    run = loaded_run.load(run_path)
    texts = [one.decode("utf-8", "ignore") for one in SHORTER]
    texts += awkward(500 - len(texts))[: 500 - len(texts)]
    assert len(texts) == 500
    # Where there are two, the second is another.
    segments = (texts, texts[::-1])[: 1 + run.has_pairs]
    few = EvaluationTexts(run, segments, [""] * len(texts))
    assert few.compare(library.load(str(folder), run)) < 1e-5


def read_code(readme: pathlib.Path) -> str:
    return readme.read_text().split("```python\n")[1].split("```")[0]


def assert_close(cell: str, expected: str) -> None:
    """Numbers may differ by what float32 rounds away, names not at all."""
    try:
        number = float(expected)
    except ValueError:
        # Of entities, the scores are within.
        cell, expected = (
            re.sub(r"0\.\d+", lambda found: f"{float(found[0]):.3f}", one)
            for one in (cell, expected)
        )
        assert cell == expected
        return
    assert float(cell) == pytest.approx(number, abs=1e-4)


def check_backbone(run: str, folder: pathlib.Path) -> None:
    """--preset={folder} has the run's backbone."""
    ours = classifier.backbone_of(loaded_run.load(run).model)
    again = presets.resolve(str(folder)).build_backbone(
        dropout=0.0, dtype="float32"
    )
    inputs = features()
    mask = inputs["padding_mask"].numpy().astype(bool)
    outputs = [sequence_output(one, inputs).numpy() for one in (ours, again)]
    np.testing.assert_allclose(*(one[mask] for one in outputs), atol=1e-6)


@pytest.mark.slow
def test_keras_hub(task_run, tmp_path):
    folder = export(task_run.run, "keras_hub", tmp_path)
    # The gate, which loads it with KerasHub's own classes.
    assert "KerasHub answers" in (folder / "README.md").read_text()
    assert folder == tmp_path / "m" / "keras_hub"
    check_backbone(task_run.run, folder)
    check_awkward(task_run.run, keras_hub_preset, folder)


def test_the_head_on_the_mean_in_keras_hub(run_of_mean, tmp_path):
    folder = export(run_of_mean, "keras_hub", tmp_path)
    names = {}
    # What its README says.
    code = read_code(folder / "README.md")
    exec(
        code.replace("import keras_hub", "import keras_nlp as keras_hub"), names
    )
    inputs = features()
    run = loaded_run.load(run_of_mean)
    np.testing.assert_allclose(
        names["model"]({key: inputs[key] for key in inputs}),
        run.model(inputs)["logits"],
        atol=1e-5,
    )
    assert presets.resolve(str(folder)).has_pooler is False


def test_a_classifier_of_keras_hub_takes_texts(trained_run, tmp_path):
    folder = export(trained_run, "keras_hub", tmp_path)
    model = keras_nlp.models.BertTextClassifier.from_preset(str(folder))
    logits = model.predict(["the film was good", "the film was bad"], verbose=0)
    assert list(logits.argmax(axis=1)) == [1, 0]


@pytest.mark.slow
def test_transformers(task_run, tmp_path):
    folder = export(task_run.run, "transformers", tmp_path)
    check_backbone(task_run.run, folder)
    run = loaded_run.load(task_run.run)
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    name = "qa_outputs" if run.task.name == "span" else "classifier"
    head = run.model.get_layer("logits")
    np.testing.assert_array_equal(
        tensors[f"{name}.weight"], np.asarray(head.kernel).T
    )
    np.testing.assert_array_equal(tensors[f"{name}.bias"], head.bias)


def test_sentence_transformers(run_of_mean, tmp_path):
    folder = export(run_of_mean, "transformers", tmp_path)
    check_backbone(run_of_mean, folder)
    assert presets.resolve(str(folder)).pooling == "mean"
    # An export over the one before.
    (folder / "old.txt").touch()
    export(run_of_mean, "transformers", tmp_path)
    assert "old.txt" not in os.listdir(folder)
    assert sorted(os.listdir(tmp_path / "m")) == ["transformers"]


@pytest.mark.slow
def test_onnx(task_run, tmp_path):
    folder = export(task_run.run, "onnx", tmp_path, quantize="int8")
    text = (folder / "README.md").read_text()
    # The gate, which asks ONNX Runtime.
    assert "ONNX Runtime answers" in text
    assert " evaluation texts | model.onnx | model_int8.onnx |" in text
    check_awkward(task_run.run, onnx_model, folder)
    code = read_code(folder / "README.md")
    exec(code, {})
    assert ('[("a text", "another")]' in code) == (len(task_run.example) == 2)
    assert ("the same answer" in text) == (task_run.name != "regression")
    # What reads it here answers as the SavedModel does, hostile texts too.
    texts = [one.decode("utf-8", "ignore") for one in task_run.hostile]
    segments = tuple([one, *texts] for one in task_run.example)
    ours, theirs = (
        build(path).predict_rows(segments)
        for build, path in (
            (OnnxPredictor, str(folder)),
            (SavedModelPredictor, task_run.model),
        )
    )
    for (answer, details), (wanted, wanted_details) in zip(
        ours, theirs, strict=True
    ):
        for cell, expected in zip(
            answer + details, wanted + wanted_details, strict=True
        ):
            assert_close(cell, expected)
    found, expected = (
        without_times(evaluate_files(path, [task_run.file]).metrics)
        for path in (str(folder), task_run.run)
    )
    for name in ("eval_loss", "eval_accuracy", "eval_f1", "eval_pearson"):
        if name in expected:
            assert found[name] == pytest.approx(expected[name], abs=1e-4)
    # The report of either file shows what README.md says.
    run_script(
        "evaluate",
        f"--model={folder}/model_int8.onnx",
        f"--eval_file={task_run.file}",
        f"--output_dir={tmp_path}/evaluation",
    )
    report = (tmp_path / "evaluation" / "report.html").read_text()
    size = re.search(r"[|] size [|] .* [|] (.*) [|]", text)[1]
    assert "<td>size</td>" in report
    assert f'<td class="n">{size}</td>' in report


def test_the_head_on_the_mean_in_onnx(run_of_mean, tmp_path):
    folder = export(run_of_mean, "onnx", tmp_path, quantize="int8")
    text = (folder / "README.md").read_text()
    sizes = [
        (folder / name).stat().st_size
        for name in ("model.onnx", "model_int8.onnx")
    ]
    assert (
        f"| size | {sizes[0] / 1e6:.1f} MB | {sizes[1] / 1e6:.1f} MB |" in text
    )
    model = bert_tf.load(folder / "model_int8.onnx")
    answers = model.predict(["the film was good", "the film was bad"])
    assert list(answers["label"]) == ["pos", "neg"]
    names = {}
    texts = ["the film was good", "a [SEP] the film was awful!"]
    code = read_code(folder / "README.md")
    exec(code.replace('["a text", "another"]', repr(texts)), names)
    answers = bert_tf.load(run_of_mean).predict(texts)
    shown = answers[["probability_neg", "probability_pos"]].to_numpy()
    exponents = np.exp(names["logits"])
    np.testing.assert_allclose(
        exponents / exponents.sum(axis=1, keepdims=True), shown, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONFIGS)
def test_other_kinds_in_onnx(kind, tiny_config, tmp_path):
    """Slow: it trains one of each."""
    run = train_kind(kind, "cls", tiny_config, tmp_path)
    folder = export(run, "onnx", tmp_path)
    assert "ONNX Runtime answers" in (folder / "README.md").read_text()
    assert not (folder / "model_int8.onnx").exists()


@pytest.fixture
def libraries():
    """Transformers and PyTorch, which the suite does not install."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("sentence_transformers")


def test_transformers_answers_alike(libraries, task_run, tmp_path):
    folder = export(task_run.run, "transformers", tmp_path)
    assert "Transformers answers" in (folder / "README.md").read_text()
    code = read_code(folder / "README.md")
    exec(code, {})
    assert ('"a text", "another"' in code) == (len(task_run.example) == 2)
    check_awkward(task_run.run, transformers_folder, folder)


def test_sentence_transformers_answers_alike(libraries, run_of_mean, tmp_path):
    folder = export(run_of_mean, "transformers", tmp_path)
    assert "Transformers answers" in (folder / "README.md").read_text()
    names = {}
    exec(read_code(folder / "README.md"), names)
    logits = names["model"].encode(["the film was good", "the film was bad"])
    assert list(logits.argmax(axis=1)) == [1, 0]
    check_awkward(run_of_mean, transformers_folder, folder)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_other_kinds_answer_alike(
    libraries, kind, pooling, tiny_config, tmp_path
):
    run = train_kind(kind, pooling, tiny_config, tmp_path)
    if (kind, pooling) == ("narrow electra", "cls"):
        with pytest.raises(InputError, match="--pooling=mean"):
            export(run, "transformers", tmp_path)
        return
    folder = export(run, "transformers", tmp_path)
    assert "Transformers answers" in (folder / "README.md").read_text()
    check_backbone(run, folder)
    check_awkward(run, transformers_folder, folder)


@pytest.mark.slow
def test_what_keras_hub_has_not(tiny_config, tmp_path):
    run = train_kind("roberta", "cls", tiny_config, tmp_path)
    with pytest.raises(InputError, match="export --format=transformers"):
        export(run, "keras_hub", tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("wrong", [2e-4, np.nan])
def test_a_model_that_answers_otherwise(
    wrong, run_of_mean, tmp_path, monkeypatch
):
    load = keras_hub_preset.load

    def load_wrong(folder, run):
        logits_of = load(folder, run)
        # In the first batch alone.
        shifts = iter([wrong])
        return lambda features: (
            logits_of(features) + [next(shifts, 0.0), 0.0]
        ).astype(np.float32)

    monkeypatch.setattr(keras_hub_preset, "load", load_wrong)
    with pytest.raises(InputError, match="otherwise.*nothing was published"):
        export(run_of_mean, "keras_hub", tmp_path / "models")
    assert os.listdir(tmp_path / "models") == []


def test_from_python(run_of_mean, tmp_path):
    run = bert_tf.load(run_of_mean)
    options = {"name": "m", "models_dir": str(tmp_path / "models")}
    path = run.export(format="keras_hub", **options)
    assert path == f"{tmp_path}/models/m/keras_hub"
    with pytest.raises(InputError, match="none of saved_model, transformers"):
        run.export(format="pmml", **options)
    for quantize, message in (
        ("int8", "of --format=onnx"),
        ("int4", "not int8"),
    ):
        with pytest.raises(InputError, match=message):
            run.export(format="keras_hub", quantize=quantize, **options)


def test_by_the_script(trained_run, tmp_path):
    done = run_script(
        "export", f"--run_dir={trained_run}", "--name=m",
        f"--models_dir={tmp_path}", "--format=keras_hub",
    )  # fmt: skip
    assert f"{tmp_path}/m/keras_hub" in done.stderr


def test_predict_by_onnx_runtime(trained_run, tmp_path):
    folder = export(trained_run, "onnx", tmp_path)
    for path in (folder, folder / "model.onnx"):
        done = run_script("predict", f"--model={path}", "the film was good")
        assert done.stdout.startswith("pos\t")
    done = run_script("predict", f"--model={tmp_path}/no.onnx", "a", status=1)
    assert "no.onnx: no such file" in done.stderr
    (folder / "assets.extra" / "labels.txt").unlink()
    done = run_script("predict", f"--model={folder}", "a", status=1)
    assert "was not exported by bert_tf" in done.stderr
