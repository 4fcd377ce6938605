"""What training changes: some layers, low-rank updates, rates by layer."""

import keras
import numpy as np
import pandas as pd
import pytest

from bert_tf.errors import InputError
from bert_tf.inference import loaded_run
from bert_tf.models import classifier, finetuning
from bert_tf.serving.export import export
from bert_tf.training import optimizer as optimizer_lib
from bert_tf.training.train import train_files as train
from tests.conftest import tiny_backbone
from tests.runs import evaluate_files


def values_of(model):
    return {
        variable.path: variable.numpy()
        for variable in model.variables
        if "seed_generator" not in variable.path
    }


def saved_values(run):
    return values_of(loaded_run.load(str(run)).model)


class Weights(keras.callbacks.Callback):
    """Notes the weights before the first step, after it and at the end."""

    def on_train_begin(self, logs=None):
        self.before = values_of(self.model)
        self.after = None

    def on_train_batch_end(self, batch, logs=None):
        if self.after is None:
            self.after = values_of(self.model)

    def on_train_end(self, logs=None):
        self.end = values_of(self.model)

    def first_step(self, part):
        """Returns how far it moved the weights of a part at most."""
        return max(
            np.abs(self.after[path] - value).max()
            for path, value in self.before.items()
            if path.startswith(part)
        )

    def changed(self, saved):
        """Returns which of a run's weights were others before the training."""
        assert saved.keys() == {
            path for path in self.before if "lora" not in path
        }
        return {
            path
            for path, value in saved.items()
            if not np.array_equal(value, self.before[path])
        }


def check_last_layer(noted, run, *, rate, decay=1.0):
    """Of two layers the last was trained, and the head, at their rates.

    For one epoch, the end of which is saved as it is: without calibration.
    """
    saved = saved_values(run)
    changed = noted.changed(saved)
    for path in noted.before:
        assert np.array_equal(saved[path], noted.end[path]), path
        # Attention is the same whatever the keys' bias.
        if not path.endswith("key/bias"):
            is_frozen = "embedding" in path or "transformer_layer_0" in path
            assert (path not in changed) == is_frozen, path
    # Adam's first step is the rate wherever there is a gradient.
    for part, factor in (("transformer_layer_1/", decay), ("logits/", 1.0)):
        assert noted.first_step(part) == pytest.approx(factor * rate, rel=0.1)


def check_lora(noted, run):
    """Of the backbone only the sums changed that have low-rank updates."""
    assert noted.changed(saved_values(run)) == {
        path
        for path in noted.before
        if path.endswith(("query/kernel", "value/kernel")) or "logits" in path
    }


def test_last_layers_only(tiny_config, tmp_path):
    """What is frozen is as before, all else is not, and all is saved."""
    noted = Weights()
    train(
        tiny_config(
            trainable_layers="last:1", learning_rate=5e-3,
            warmup_proportion=0.0, num_train_epochs=1, head_init="random",
            calibrate=False,
        ),
        callbacks=[noted],
    )  # fmt: skip
    check_last_layer(noted, tmp_path / "run", rate=5e-3)


def test_lora_is_merged(tiny_config, review_file, tmp_path):
    """A run with LoRA has the weights of one without, and is exported."""
    noted = Weights()
    train(
        tiny_config(
            validation_file=(review_file,), metric_for_best_model="loss",
            lora_rank=4, learning_rate=2e-2, num_train_epochs=3, dropout=0.0,
            calibrate=False,
        ),
        callbacks=[noted],
    )  # fmt: skip
    run = str(tmp_path / "run")
    check_lora(noted, run)
    # Of the weights in memory, which nothing had saved yet.
    told = pd.read_csv(f"{run}/history.csv")["eval_loss"].min()
    for path in (
        run,
        export(run, name="m", models_dir=str(tmp_path / "models")),
    ):
        found = evaluate_files(path, [review_file]).metrics["eval_loss"]
        assert found == pytest.approx(told, abs=1e-5), path


def test_lora_trains_little():
    backbone = tiny_backbone()
    finetuning.add_lora(backbone, 4)
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
    factors = finetuning.rate_factors(model, 0.5)
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
