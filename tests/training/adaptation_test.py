"""What training changes: some layers, low-rank updates, rates by layer."""

import keras
import numpy as np
import pytest

from bert_tf.errors import InputError
from bert_tf.evaluation import evaluate
from bert_tf.models import adaptation, classifier, trained
from bert_tf.serving.export import export
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training.train import train
from tests.conftest import tiny_backbone


def weights_of(path):
    return {
        variable.path: variable.numpy()
        for variable in trained.load(path).model.variables
        if "seed_generator" not in variable.path
    }


def test_last_layers_only(tiny_config, tmp_path):
    """What is frozen is the same after two trainings, all else is not."""
    paths = [str(tmp_path / name) for name in ("a", "b")]
    for path, rate in zip(paths, (1e-3, 5e-3), strict=True):
        train(
            tiny_config(
                output_dir=path, trainable_layers="last:1", learning_rate=rate,
                num_train_epochs=1,
            )
        )  # fmt: skip
    first, second = map(weights_of, paths)
    for path, weights in first.items():
        is_frozen = "embedding" in path or "transformer_layer_0" in path
        assert np.array_equal(weights, second[path]) == is_frozen, path


def test_lora_is_merged(tiny_config, tmp_path):
    """A run with LoRA has the weights of one without, and is exported."""
    metrics = train(
        tiny_config(
            lora_rank=4, learning_rate=2e-2, num_train_epochs=3, dropout=0.0
        )
    )
    run = str(tmp_path / "run")
    plain = weights_of(run)
    assert not any("lora" in path for path in plain)
    model = export(run, name="m", models_dir=str(tmp_path / "models"))
    file = str(tmp_path / "reviews.csv")
    losses = [
        evaluate.evaluate(path, [file]).metrics["eval_loss"]
        for path in (run, model)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert np.isfinite(metrics["eval_loss"])


def test_lora_trains_little():
    backbone = tiny_backbone()
    adaptation.add_lora(backbone, 4)
    model = classifier.build_classifier(backbone, num_classes=2, dropout=0.0)
    names = [variable.path for variable in model.trainable_variables]
    # A and B of query and value of two layers, and the head.
    assert len(names) == 2 * 2 * 2 + 2
    assert sum("lora" in name for name in names) == 8
    # The first update is none, whatever A is.
    plain = tiny_backbone()
    for ours, theirs in zip(
        [v for v in backbone.variables if "lora" not in v.path],
        plain.variables,
        strict=True,
    ):
        theirs.assign(ours)
    inputs = {
        "token_ids": np.ones([1, 4], np.int32),
        "segment_ids": np.zeros([1, 4], np.int32),
        "padding_mask": np.ones([1, 4], np.int32),
    }
    np.testing.assert_allclose(
        backbone(inputs)["pooled_output"],
        plain(inputs)["pooled_output"],
        atol=1e-6,
    )


def test_rates_fall_from_layer_to_layer():
    keras.utils.set_random_seed(1)
    model = classifier.build_classifier(
        tiny_backbone(), num_classes=2, dropout=0.0
    )
    factors = adaptation.rate_factors(model, 0.5)
    variables = model.trainable_variables
    paths = [variable.path for variable in variables]
    for path, factor in zip(paths, factors, strict=True):
        wanted = 1.0
        if "embedding" in path:
            wanted = 0.125
        elif "transformer_layer_0" in path:
            wanted = 0.25
        elif "transformer_layer_1" in path:
            wanted = 0.5
        assert factor == wanted, path
    optimizer = optimizer_lib.build_optimizer(
        variables=variables,
        learning_rate=0.1,
        warmup_proportion=0.0,
        total_steps=10,
        weight_decay=0.0,
        mixed_precision="float32",
        factors=factors,
    )
    before = [variable.numpy() for variable in variables]
    optimizer.apply([np.ones(v.shape, np.float32) for v in variables])
    for variable, old, factor in zip(variables, before, factors, strict=True):
        # Adam's first step is the rate, whatever the gradient.
        np.testing.assert_allclose(
            old - variable.numpy(), 0.1 * factor, rtol=1e-2
        )


def test_faults_are_told(tiny_config):
    with pytest.raises(InputError, match="must be last:N"):
        train(tiny_config(trainable_layers="first:1"))
    with pytest.raises(InputError, match="there are 2 layers"):
        train(tiny_config(trainable_layers="last:3"))
    with pytest.raises(InputError, match="exclude each other"):
        tiny_config(lora_rank=2, freeze_backbone=True)
