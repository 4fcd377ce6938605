"""What `pipelines.search` varies, and how much of it is tried."""

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Any

from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError

if TYPE_CHECKING:
    # An extra; files and flags are checked without it.
    import optuna

SPACES = ("default", "bert_paper")
_UNITS = {"s": 1, "m": 60, "h": 3600}
# Section A.3 of Devlin et al. (2018, 1810.04805), for all tasks.
_BERT_PAPER = {
    "train_batch_size": (16, 32),
    "learning_rate": (5e-5, 3e-5, 2e-5),
    "num_train_epochs": (2, 3, 4),
}
_LEARNING_RATES = (2e-5, 5e-4)
_EPOCHS = (2, 8)
_CHOICES = {
    "train_batch_size": (8, 16, 32, 64),
    "pooling": ("cls", "mean"),
    "layerwise_learning_rate_decay": (1.0, 0.95, 0.9, 0.8),
    "dropout": (0.0, 0.1, 0.2),
}
ALL_LAYERS = "all"
NUM_TRIALS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How a search goes about it; a field has its flag's name.

    Attributes:
        num_trials: trainings beside that with the defaults; None for 20, or
            all of the paper's grid, which are 18 where nothing is given.
        time_budget: such as 90s, 30m or 2h; no trial begins afterwards, and
            the last one ends with its epoch.
        space: one of SPACES.
        presets: to choose from, beside the training's own.
    """

    num_trials: int | None = None
    time_budget: str | None = None
    space: str = "default"
    presets: tuple[str, ...] = ()

    def __post_init__(self):
        """Raises InputError for a value that is none."""
        object.__setattr__(self, "presets", tuple(self.presets))
        if self.space not in SPACES:
            raise InputError(
                f"--space={self.space} is none of {', '.join(SPACES)}"
            )
        if self.num_trials is not None and self.num_trials < 1:
            raise InputError(f"--num_trials={self.num_trials} is below 1")
        _ = self.seconds

    @property
    def seconds(self) -> float | None:
        """The time budget."""
        if self.time_budget is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", self.time_budget)
        if not match or not float(match[1]):
            raise InputError(
                f"--time_budget={self.time_budget} must be a number with s, m "
                "or h, such as 30m"
            )
        return float(match[1]) * _UNITS[match[2]]

    def grid(self, config: TrainConfig) -> list[dict[str, Any]]:
        """Returns every trial of the paper's grid; empty of another space.

        Args:
            config: see `suggest`.

        Raises:
            InputError: nothing is left to try.
        """
        if self.space != "bert_paper":
            return []
        choices = self.choices(config)
        if not choices:
            raise InputError(
                "--space=bert_paper: all of its settings are given, and "
                "nothing is left to try"
            )
        trials = itertools.product(*choices.values())
        return [dict(zip(choices, one, strict=True)) for one in trials]

    def choices(self, config: TrainConfig) -> dict[str, tuple]:
        """Returns the values of settings that were not given, by name."""
        is_paper = self.space == "bert_paper"
        defaults = {
            field.name: field.default for field in dataclasses.fields(config)
        }
        choices = {
            name: values
            for name, values in (_BERT_PAPER if is_paper else _CHOICES).items()
            if getattr(config, name) == defaults[name]
        }
        if self.presets:
            presets = (config.preset, *self.presets)
            choices["preset"] = tuple(dict.fromkeys(presets))
        return choices


def suggest(
    trial: "optuna.Trial",
    search: SearchConfig,
    config: TrainConfig,
    *,
    num_layers: int,
) -> TrainConfig:
    """Returns the settings of a trial; those that were given stay.

    Args:
        trial: draws the values, or has them.
        config: of the training with the defaults, before they were decided.
        num_layers: of its backbone.
    """
    drawn: dict[str, Any] = {}
    for name, values in search.choices(config).items():
        drawn[name] = trial.suggest_categorical(name, values)
    if search.space == "bert_paper":
        return dataclasses.replace(config, **drawn)
    if config.learning_rate is None:
        drawn["learning_rate"] = trial.suggest_float(
            "learning_rate", *_LEARNING_RATES, log=True
        )
    if config.num_train_epochs is None:
        drawn["num_train_epochs"] = trial.suggest_int(
            "num_train_epochs", *_EPOCHS
        )
    is_free = not (config.freeze_backbone or config.lora_rank)
    if config.trainable_layers is None and is_free:
        upper_half = f"last:{max(1, num_layers // 2)}"
        layers = trial.suggest_categorical(
            "trainable_layers", (ALL_LAYERS, upper_half)
        )
        drawn["trainable_layers"] = None if layers == ALL_LAYERS else layers
    return dataclasses.replace(config, **drawn)
