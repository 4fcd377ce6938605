"""What a search varies."""

import pytest

from bert_tf.config import search_space
from bert_tf.config.search_space import SearchConfig
from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError


class Trial:
    """Draws the first of all choices, the lowest of all numbers."""

    def __init__(self):
        self.drawn = []

    def suggest_categorical(self, name, choices):
        self.drawn.append(name)
        return choices[-1]

    def suggest_float(self, name, low, high, log):
        self.drawn.append(name)
        return low

    suggest_int = suggest_float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_budget": "30"}, "such as 30m"),
        ({"time_budget": "0m"}, "such as 30m"),
        ({"time_budget": "m"}, "such as 30m"),
        ({"num_trials": 0}, "below 1"),
        ({"space": "all"}, "none of default, bert_paper"),
    ],
)
def test_values_that_are_none(changes, message):
    with pytest.raises(InputError, match=message):
        SearchConfig(**changes)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)]
)
def test_time_budget(text, seconds):
    assert SearchConfig(time_budget=text).seconds == seconds


def test_the_papers_grid():
    config = TrainConfig(train_file=("a",), output_dir="b")
    grid = SearchConfig(space="bert_paper").grid(config)
    assert len(grid) == len({tuple(one.items()) for one in grid}) == 18
    assert SearchConfig().grid(config) == []


def test_the_papers_grid_around_what_is_given():
    config = TrainConfig(
        train_file=("a",), output_dir="b", num_train_epochs=7, preset="x"
    )
    search = SearchConfig(space="bert_paper", presets=["y"])
    grid = search.grid(config)
    assert len(grid) == 12 and "num_train_epochs" not in grid[0]
    assert {one["preset"] for one in grid} == {"x", "y"}
    given = {
        "learning_rate": 1e-4, "num_train_epochs": 1, "train_batch_size": 8
    }  # fmt: skip
    other = TrainConfig(train_file=("a",), output_dir="b", **given)
    with pytest.raises(InputError, match="nothing is left"):
        SearchConfig(space="bert_paper").grid(other)
    found = search_space.suggest(Trial(), search, config, num_layers=12)
    assert found.num_train_epochs == 7 and found.preset == "y"


def suggest(presets=(), **changes):
    trial = Trial()
    trial.suggest_int = lambda name, low, high: trial.suggest_float(
        name, low, high, log=False
    )
    config = TrainConfig(train_file=("a",), output_dir="b", **changes)
    found = search_space.suggest(
        trial, SearchConfig(presets=presets), config, num_layers=12
    )
    return trial.drawn, found


def test_what_is_given_stays():
    drawn, found = suggest(presets=("x", "minilm_l6_en_uncased"))
    assert set(drawn) == {
        "learning_rate", "num_train_epochs", "train_batch_size", "pooling",
        "layerwise_learning_rate_decay", "dropout", "trainable_layers",
        "preset",
    }  # fmt: skip
    assert found.learning_rate == 2e-5 and found.num_train_epochs == 2
    assert found.trainable_layers == "last:6" and found.preset == "x"
    given = {
        "learning_rate": 1e-4, "num_train_epochs": 3, "train_batch_size": 7,
        "pooling": "cls", "layerwise_learning_rate_decay": 0.7,
        "dropout": 0.3, "lora_rank": 2,
    }  # fmt: skip
    drawn, found = suggest(**given)
    assert drawn == []
    assert {name: getattr(found, name) for name in given} == given
