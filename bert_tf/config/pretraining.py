"""Pretraining settings, validated on construction."""

import dataclasses
import re

from bert_tf.config.base import BaseConfig
from bert_tf.errors import InputError

OBJECTIVES = ("mlm+nsp", "mlm")
# https://arxiv.org/abs/1908.08962 (tiny to medium) and 1810.04805: layers and
# width. Heads are 64 wide, the layer between is 4 times as wide.
MODEL_SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
_HEAD_WIDTH = 64
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
# [CLS], two [SEP], and a few tokens to mask and to guess from.
_SHORTEST_SEQUENCE = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainConfig(BaseConfig):
    """Every setting of `pipelines.pretrain`; a field has its flag's name."""

    validation_split: float = 0.05
    preset: str | None = None
    vocab_file: str | None = None
    model_size: str | None = None
    num_layers: int | None = None
    hidden_size: int | None = None
    num_attention_heads: int | None = None
    intermediate_size: int | None = None
    objective: str = "mlm+nsp"
    max_predictions_per_seq: int | None = None
    whole_word_masking: bool = False
    train_batch_size: int = 64
    max_eval_samples: int = 1000
    eval_steps: int | None = None
    max_steps: int | None = None
    num_train_epochs: int | None = None
    time_budget: str | None = None

    def __post_init__(self):
        """Raises InputError for a value that no data could make right."""
        self._check_files()
        self._check_training(shortest_sequence=_SHORTEST_SEQUENCE)
        self._check_above_zero(
            "num_layers", "hidden_size", "num_attention_heads",
            "intermediate_size", "max_predictions_per_seq", "eval_steps",
            "num_train_epochs",
        )  # fmt: skip
        self._check_choice("objective", OBJECTIVES)
        self._check_choice("model_size", (None, *MODEL_SIZES))
        self._check_model()
        self._check_budget()

    def _check_model(self) -> None:
        shape = (
            self.model_size, self.num_layers, self.hidden_size,
            self.num_attention_heads, self.intermediate_size, self.vocab_file,
        )  # fmt: skip
        if self.preset:
            if any(value is not None for value in shape):
                raise InputError(
                    f"--preset={self.preset} starts from a checkpoint, which "
                    "has its shape and vocabulary: leave out --model_size, "
                    "--num_layers and the like, and --vocab_file"
                )
            return
        if self.vocab_file is None:
            raise InputError(
                "--vocab_file is needed to train from scratch (pipelines."
                "build_vocabulary makes one), or --preset to start from a "
                "checkpoint"
            )
        if self.model_size is None and not (
            self.num_layers and self.hidden_size
        ):
            raise InputError(
                "name the shape by --model_size="
                f"{'|'.join(MODEL_SIZES)}, or by --num_layers and --hidden_size"
            )
        shape = self.shape()
        if shape["hidden_dim"] % shape["num_heads"]:
            raise InputError(
                f"--hidden_size={shape['hidden_dim']} must be divisible by "
                f"--num_attention_heads={shape['num_heads']}"
            )

    def _check_budget(self) -> None:
        budgets = (self.max_steps, self.num_train_epochs, self.time_budget)
        if sum(value is not None for value in budgets) != 1:
            raise InputError(
                "give one of --max_steps, --num_train_epochs and --time_budget"
            )
        if self.max_steps is not None and self.max_steps < 0:
            raise InputError(f"--max_steps={self.max_steps} is below 0")
        if self.time_budget is not None:
            parse_duration(self.time_budget)

    @property
    def has_pairs(self) -> bool:
        """Whether the next sentence is predicted too."""
        return self.objective == "mlm+nsp"

    def shape(self) -> dict[str, int]:
        """Returns KerasNLP's arguments for a model from scratch."""
        return model_shape(
            self.model_size,
            num_layers=self.num_layers,
            hidden_size=self.hidden_size,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
        )


def model_shape(
    size: str | None,
    *,
    num_layers: int | None = None,
    hidden_size: int | None = None,
    num_attention_heads: int | None = None,
    intermediate_size: int | None = None,
) -> dict[str, int]:
    """Returns KerasNLP's arguments for a size of MODEL_SIZES.

    Args:
        size: its name; None where layers and width are given.
        num_layers: instead of the size's.
        hidden_size: instead of the size's.
        num_attention_heads: of 64 numbers each by default.
        intermediate_size: 4 times the width by default.
    """
    layers, width = MODEL_SIZES.get(size, (None, None))
    width = hidden_size or width
    return {
        "num_layers": num_layers or layers,
        "hidden_dim": width,
        "num_heads": num_attention_heads or max(1, width // _HEAD_WIDTH),
        "intermediate_dim": intermediate_size or 4 * width,
    }


def parse_duration(text: str) -> float:
    """Returns the seconds of 24h, 90m, 1h30m or 45s; InputError otherwise."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise InputError(
            f"--time_budget={text} is not a duration such as 24h, 90m, 1h30m "
            "or 45s"
        )
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise InputError(f"--time_budget={text} must be above 0")
    return seconds
