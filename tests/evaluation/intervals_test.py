import numpy as np
import pytest

from bert_tf.evaluation import intervals
from bert_tf.metrics import classification as metrics

NAMES = ("no", "yes")
TRUE_ACCURACY = 0.8
SIMULATED_SETS = 200


def confidence_intervals(labels, probabilities, names, seed=0):
    samples = intervals.bootstrap_metrics(
        labels, probabilities, names, seed=seed
    )
    return {
        name: intervals.interval(values) for name, values in samples.items()
    }


def simulated(generator, rows, classes=2):
    """Labels, and probabilities whose argmax is right in 80% of the rows."""
    labels = generator.integers(0, classes, rows)
    right = generator.random(rows) < TRUE_ACCURACY
    wrong = (labels + generator.integers(1, classes, rows)) % classes
    answers = np.where(right, labels, wrong)
    probabilities = generator.uniform(0, 1, (rows, classes))
    probabilities[np.arange(rows), answers] += 1.5
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 1000])
def test_coverage(rows):
    """The true value is inside in about 95% of 200 simulated sets."""
    generator = np.random.default_rng(7)
    # By symmetry of both classes, the F1 of either is the accuracy.
    truth = {
        "eval_accuracy": 0.8, "eval_f1": 0.8, "eval_f1_macro": 0.8,
        "eval_matthews_correlation": 0.6,
    }  # fmt: skip
    big = simulated(np.random.default_rng(1), 400_000)
    for name in ("eval_roc_auc", "eval_loss"):
        truth[name] = metrics.classification_metrics(*big, NAMES)[name]
    inside = dict.fromkeys(truth, 0)
    for _ in range(SIMULATED_SETS):
        found = confidence_intervals(*simulated(generator, rows), NAMES)
        for name, value in truth.items():
            inside[name] += found[name][0] <= value <= found[name][1]
    print(inside)
    # 95% of 200 is 190, with a standard deviation of 3.1.
    for name, count in inside.items():
        assert 181 <= count <= 199, (name, count)


@pytest.mark.parametrize("classes", [2, 5])
def test_a_sample_has_scikit_learns_metrics(classes):
    """Every resample's metrics are those of its rows, written out."""
    names = NAMES if classes == 2 else tuple("abcde")
    labels, probabilities = simulated(np.random.default_rng(3), 60, classes)
    samples = intervals.bootstrap_metrics(labels, probabilities, names, seed=9)
    drawn = np.random.default_rng(9).integers(0, 60, (intervals.SAMPLES, 60))
    for number in (0, 57, 199):
        rows = drawn[number]
        expected = metrics.classification_metrics(
            labels[rows], probabilities[rows], names
        )
        for name, values in samples.items():
            assert values[number] == pytest.approx(expected[name]), name


def test_intervals_hold_the_metric_and_shrink_with_more_rows():
    widths = []
    for rows in (100, 2500):
        labels, probabilities = simulated(np.random.default_rng(2), rows)
        found = confidence_intervals(labels, probabilities, NAMES)
        value = np.mean(probabilities.argmax(axis=1) == labels)
        low, high = found["eval_accuracy"]
        assert low < value < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 5, rel=0.4)


def test_undefined_metrics_have_no_interval():
    labels = np.zeros(20, int)
    probabilities = np.tile([0.7, 0.3], (20, 1))
    found = confidence_intervals(labels, probabilities, NAMES)
    assert found["eval_roc_auc"] is None
    assert found["eval_accuracy"] == [1.0, 1.0]


def test_mcnemar_is_the_binomial_test():
    right = np.array([True] * 9 + [False] + [True] * 5)
    other = np.array([False] * 9 + [True] + [True] * 5)
    found = intervals.mcnemar(right, other)
    assert (found["only_first"], found["only_second"]) == (9, 1)
    # Ten or one of ten, either way round: (10 + 1) of 1,024, twice.
    assert found["p_value"] == pytest.approx(22 / 1024)
    assert intervals.mcnemar(right, right)["p_value"] == 1.0


def test_a_share_of_few_is_not_certain():
    """Against the formula of Wilson (1927), at z = 1.95996."""
    low, high = intervals.of_share(6, 6)
    assert high == pytest.approx(1.0)
    assert low == pytest.approx(6 / (6 + 1.959964**2), abs=1e-6)
    low, high = intervals.of_share(40, 50)
    assert 0.66 < low < 0.8 < high < 0.9
