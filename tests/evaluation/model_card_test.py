import json

import pytest
from huggingface_hub import ModelCard

from bert_tf.evaluation.report import model_card


def test_hubs_can_read_it(trained_run):
    card = ModelCard.load(f"{trained_run}/README.md")
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.language == "und" and card.data.license == "unknown"
    assert "accuracy" in card.data.metrics
    with open(f"{trained_run}/metrics_test.json") as file:
        metrics = json.load(file)
    (accuracy,) = [
        result
        for result in card.data.eval_results
        if result.metric_type == "accuracy"
    ]
    assert accuracy.metric_value == pytest.approx(
        metrics["eval_accuracy"], abs=1e-6
    )
    assert accuracy.dataset_split == "test"
    for words in (
        "## Limits", "## Data", "## Settings", "train.csv", "`neg`, `pos`",
        f"--run_dir={trained_run} --name=", "pipelines.predict",
        "tf.saved_model.load", "the 95% interval",
    ):  # fmt: skip
        assert words in card.text, words
    low, high = metrics["confidence_intervals"]["eval_loss"]
    assert f"({low:.3f} to {high:.3f})" in card.text
    assert "\n\n\n" not in card.text


@pytest.mark.parametrize(
    ("preset", "language"),
    [
        ("minilm_l6_en_uncased", "en"),
        ("bert_base_zh", "zh"),
        ("bert_base_multi", "multilingual"),
        ("/home/me/token_entry", "und"),
    ],
)
def test_language_is_that_of_the_name(preset, language):
    assert model_card.language(preset) == language
