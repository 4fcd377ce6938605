import numpy as np
import pandas as pd
import pytest

from bert_tf.data.readers import registry
from bert_tf.errors import InputError
from bert_tf.evaluation import comparison, evaluate
from bert_tf.metrics.classification import classification_metrics
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.regression import Regression
from tests.conftest import review_rows, write_csv
from tests.data.splits_test import frame
from tests.runs import evaluate_files


def evaluation(path, labels, probabilities, names=("x", "y")):
    examples = frame([(f"text {i}", names[y]) for i, y in enumerate(labels)])
    return evaluate.Evaluation(
        title="a file",
        model_path=path,
        task=Classification(names),
        examples=examples,
        encoded=None,
        predictions=probabilities,
        metrics=classification_metrics(labels, probabilities, names),
    )


def answers(labels, accuracy, seed):
    generator = np.random.default_rng(seed)
    right = generator.random(len(labels)) < accuracy
    said = np.where(right, labels, 1 - labels)
    return np.eye(2)[said] * 0.8 + 0.1


def test_better_equal_and_worse():
    labels = np.arange(400) % 2
    good = evaluation("good", labels, answers(labels, 0.9, 1))
    bad = evaluation("bad", labels, answers(labels, 0.7, 2))
    alike = evaluation("alike", labels, answers(labels, 0.9, 3))
    found = comparison.compare(good, bad)
    assert found["mcnemar"]["p_value"] < 0.001
    low, high = found["metrics"]["eval_f1"]["interval"]
    assert 0 < low < found["metrics"]["eval_f1"]["difference"] < high
    assert "The first is better" in comparison.conclusion(found)
    assert "The second is better" in comparison.conclusion(
        comparison.compare(bad, good)
    )
    found = comparison.compare(good, alike)
    assert "No difference beyond chance" in comparison.conclusion(found)
    low, high = found["metrics"]["eval_accuracy"]["interval"]
    assert low < 0 < high
    table = comparison.disagreements(good, bad)
    difference = good.predictions.argmax(axis=1) != bad.predictions.argmax(
        axis=1
    )
    assert len(table) == difference.sum()
    assert set(table["right"]) == {"first", "second"}
    assert "They disagree on" in comparison.describe(found, table)


def test_pairing_narrows_the_interval():
    """Two models that differ on few rows are told apart by those rows."""
    labels = np.arange(400) % 2
    first = answers(labels, 0.8, 1)
    second = first.copy()
    second[:12] = np.eye(2)[labels[:12]] * 0.8 + 0.1
    third = first.copy()
    third[:12] = np.eye(2)[1 - labels[:12]] * 0.8 + 0.1
    found = comparison.compare(
        evaluation("a", labels, second), evaluation("b", labels, third)
    )
    low, high = found["metrics"]["eval_accuracy"]["interval"]
    assert 0 < low and high < 0.06


def test_other_order_of_the_classes(tmp_path):
    labels = np.arange(40) % 2
    first = evaluation("a", labels, answers(labels, 0.8, 1))
    turned = evaluation(
        "b", 1 - labels, answers(labels, 0.8, 1)[:, ::-1], ("y", "x")
    )
    found = comparison.compare(first, turned)
    assert found["metrics"]["eval_accuracy"]["difference"] == 0
    assert found["mcnemar"]["p_value"] == 1.0
    table = comparison.disagreements(first, turned)
    assert table.empty
    comparison.write(str(tmp_path), found, table)
    assert (tmp_path / "comparison.json").exists()


def test_other_classes():
    labels = np.arange(40) % 2
    first = evaluation("a", labels, answers(labels, 0.8, 1))
    other = evaluation("b", labels, answers(labels, 0.8, 1), ("x", "z"))
    with pytest.raises(InputError, match="do not have the same classes: y, z"):
        comparison.compare(first, other)


def test_run_and_its_saved_model(trained_run, saved_model, tmp_path):
    path = write_csv(tmp_path / "t.csv", review_rows(40))
    found = comparison.compare(
        evaluate_files(trained_run, [path]),
        evaluate_files(saved_model, [path]),
    )
    assert found["mcnemar"]["p_value"] == 1.0
    assert found["metrics"]["eval_loss"]["difference"] == pytest.approx(
        0, abs=1e-5
    )


def of_numbers(path, labels, error, seed):
    noise = np.random.default_rng(seed).normal(size=len(labels))
    predicted = np.float32(labels + error * noise)[:, np.newaxis]
    examples = frame([(f"text {i}", str(y)) for i, y in enumerate(labels)])
    task = Regression()
    return evaluate.Evaluation(
        title="a file",
        model_path=path,
        task=task,
        examples=examples,
        encoded=None,
        predictions=predicted,
        metrics=task.metrics(examples, None, predicted),
    )


def test_tasks_beside_classification(tmp_path):
    labels = np.arange(300) % 7
    good, bad, alike = (
        of_numbers(name, labels, error, seed)
        for name, error, seed in (("a", 1, 1), ("b", 3, 2), ("c", 1, 3))
    )
    found = comparison.compare(bad, good)
    assert "The second is better" in comparison.conclusion(found)
    low, high = found["metrics"]["eval_spearman"]["interval"]
    assert low < found["metrics"]["eval_spearman"]["difference"] < high < 0
    assert "No difference beyond chance" in comparison.conclusion(
        comparison.compare(good, alike)
    )
    table = comparison.disagreements(good, bad)
    apart = np.float32(table["score_first"]) - np.float32(table["score_second"])
    assert (np.diff(np.abs(apart)) <= 0).all()
    assert len(table) == 300
    assert "300 texts differently" in comparison.describe(found, table)
    comparison.write(str(tmp_path), found, table)
    assert comparison.disagreements(good, good).empty
    with pytest.raises(InputError, match="only models of one task"):
        comparison.compare(
            good, evaluation("x", labels % 2, answers(labels % 2, 0.8, 1))
        )


def test_texts_with_line_breaks_stay_one_row(tmp_path):
    texts = ["a\rb", "a\nb", "a\r\nb", "a"]
    comparison.write(str(tmp_path), {}, pd.DataFrame({"text": texts}))
    table = registry.open_table(str(tmp_path / "disagreements.csv"))
    assert [row.fields["text"] for row in table.rows] == texts
