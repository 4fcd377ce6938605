import numpy as np
from matplotlib import image

from bert_tf.evaluation import plots, report
from tests.data.splitting_test import frame


def test_errors_are_the_most_confident_first():
    examples = frame([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")])
    probabilities = np.array([[0.4, 0.6], [0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])
    table = report.error_table(examples, probabilities, ["x", "y"])
    assert list(table["text"]) == ["c", "d", "a"]
    assert list(table["line"]) == [4, 5, 2]
    assert list(table["label"]) == ["y", "x", "y"]
    assert table["score_of_true_label"].iloc[0] == 0.1
    assert "text_pair" not in table


def test_plots_of_few_and_many_classes(tmp_path):
    for classes in (2, 77):
        path = str(tmp_path / f"{classes}.png")
        plots.write_confusion_matrix(
            path,
            np.eye(classes, dtype=int) * 7,
            [f"a long class name, number {i}" for i in range(classes)],
        )
        assert image.imread(path).shape[0] > 400


def test_shorten():
    assert report.shorten("a\n b", 10) == "a b"
    assert report.shorten("abcdef", 4) == "abc…"
