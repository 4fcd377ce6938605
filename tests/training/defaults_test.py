import types

import pytest

from bert_tf.tasks.classification import Classification
from bert_tf.training import defaults


def resolve(
    config,
    *,
    pooling="mean", may_probe=True, rows=1_000, num_replicas=1,
    validation_rows=100,
    classes=2,
):  # fmt: skip
    return defaults.resolve(
        config,
        columns={"text_column": "text"},
        max_seq_length=64,
        task=Classification(tuple(map(str, range(classes)))),
        preset=types.SimpleNamespace(pooling=pooling),
        rows=rows,
        validation_rows=validation_rows,
        num_parameters=20_000_000,
        num_replicas=num_replicas,
        may_probe=may_probe,
    )


def test_what_is_left_open_is_decided(tiny_config):
    config = resolve(tiny_config(learning_rate=None))
    assert config.text_column == "text"
    assert config.max_seq_length == 64
    assert config.metric_for_best_model == "f1"
    assert config.learning_rate == 1e-4
    assert config.pooling == "mean"
    assert config.head_init == "linear_probe"
    # As a run that is resumed: nothing is left.
    assert resolve(config) == config


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs", "head_init"),
    [(43, 16, 40, "auto"), (300, 16, 11, "auto"), (999, 16, 4, "auto"),
     (2_000, 32, 4, "auto"), (6_090, 32, 3, "auto"),
     (43, 16, 40, "random"), (300, 16, 22, "random"), (2_000, 32, 7, "random"),
     (100_000, 32, 3, "random")],
)  # fmt: skip
def test_few_rows_have_many_epochs(
    tiny_config, rows, batch_size, epochs, head_init
):
    """Without a contrastive epoch; from a linear probe fewer."""
    given = tiny_config(
        train_batch_size=None, num_train_epochs=None, head_init=head_init
    )
    config = resolve(given, rows=rows)
    assert config.train_batch_size == batch_size
    assert config.num_train_epochs == epochs
    line = defaults.describe(given, config, rows=rows)
    assert f"{rows:,} training rows: --num_train_epochs={epochs} " in line


@pytest.mark.parametrize(
    ("rows", "classes", "epochs"),
    [(10, 2, 1), (99, 5, 1), (100, 5, 4), (999, 5, 4), (1_000, 5, 4)],
)
def test_a_contrastive_epoch_leaves_less_to_do(
    tiny_config, rows, classes, epochs
):
    given = tiny_config(
        train_batch_size=None, num_train_epochs=None, contrastive="auto"
    )
    config = resolve(given, rows=rows, classes=classes)
    assert config.contrastive == "true"
    assert config.train_batch_size == min(32, rows)
    assert config.num_train_epochs == epochs
    assert resolve(config, rows=rows, classes=classes) == config


@pytest.mark.parametrize(
    ("changes", "validation_rows", "is_refit"),
    [
        ({}, 10, True), ({}, 100, False), ({"num_train_epochs": 2}, 10, False),
        ({"validation_file": ("a.csv",)}, 10, False),
        ({"contrastive": "false"}, 10, False), ({"refit": False}, 10, False),
    ],
)  # fmt: skip
def test_where_validation_chose_nothing_its_rows_are_trained_on(
    tiny_config, changes, validation_rows, is_refit
):
    given = tiny_config(
        **{"num_train_epochs": None, "contrastive": "auto", **changes}
    )
    config = resolve(given, rows=90, validation_rows=validation_rows)
    assert config.refit == is_refit
    assert ("--refit" in defaults.describe(given, config, rows=90)) == is_refit


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "multi_label", "metric_for_best_model": "f1_micro"},
        {"head_init": "random"}, {"accumulate_steps": 2},
        {"freeze_backbone": True}, {"num_train_epochs": 0},
    ],
)  # fmt: skip
def test_where_there_is_no_contrastive_epoch(tiny_config, changes):
    config = tiny_config(contrastive="auto", **changes)
    assert resolve(config, rows=100).contrastive == "false"


def test_many_rows_a_class_need_no_contrastive_epoch(tiny_config):
    config = tiny_config(contrastive="auto")
    assert resolve(config, rows=801).contrastive == "false"
    assert resolve(config, rows=800).contrastive == "true"


def test_a_frozen_backbone_is_the_probe_alone(tiny_config):
    changes = {"freeze_backbone": True, "num_train_epochs": None}
    assert resolve(tiny_config(**changes)).num_train_epochs == 0
    changes["head_init"] = "random"
    assert resolve(tiny_config(**changes)).num_train_epochs > 0


def test_few_validation_rows_are_chosen_by_their_loss(tiny_config):
    config = resolve(tiny_config(), validation_rows=99)
    assert config.metric_for_best_model == "loss"
    assert config.early_stopping_patience == 5
    config = resolve(tiny_config(), validation_rows=100)
    assert config.metric_for_best_model == "f1"
    assert config.early_stopping_patience is None


def test_a_batch_is_shared_by_replicas(tiny_config):
    config = tiny_config(train_batch_size=None, accumulate_steps=2)
    assert resolve(config, num_replicas=3, rows=100).train_batch_size == 18


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "cls"}, {"head_init": "random"}, {"learning_rate": 1e-3},
        {"metric_for_best_model": "loss"}, {"num_train_epochs": 2},
        {"train_batch_size": 8},
    ],
)  # fmt: skip
def test_what_is_set_stays(tiny_config, changes):
    ((name, value),) = changes.items()
    assert getattr(resolve(tiny_config(**changes)), name) == value


def test_no_probe_where_there_cannot_be_one(tiny_config):
    assert resolve(tiny_config(), may_probe=False).head_init == "random"
    assert resolve(tiny_config(task="token")).head_init == "random"


@pytest.mark.parametrize(
    ("changes", "multiple"),
    [({}, 1), ({"jit_compile": "true"}, 16),
     ({"jit_compile": "true", "pad_to_multiple_of": 8}, 8)],
)  # fmt: skip
def test_padding_goes_with_compilation(tiny_config, changes, multiple):
    assert resolve(tiny_config(**changes)).pad_to_multiple_of == multiple
