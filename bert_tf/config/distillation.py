"""Distillation settings: loss weights and the student's config."""

import dataclasses
import os

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The weights of the losses, which are divided by their sum.

    Attributes:
        temperature: the scores of both are divided by it.
        soft_weight: cross-entropy to the teacher's softened scores.
        hard_weight: cross-entropy to the labels.
        cosine_weight: 1 - cosine of the hidden states, token by token.

    The defaults are DistilBERT's.
    """

    temperature: float = 2.0
    soft_weight: float = 5.0
    hard_weight: float = 2.0
    cosine_weight: float = 1.0

    def __post_init__(self):
        """Raises InputError for values that mean nothing."""
        weights = (self.soft_weight, self.hard_weight, self.cosine_weight)
        if min(weights) < 0 or sum(weights) <= 0:
            raise InputError(
                "--soft_weight, --hard_weight and --cosine_weight must not be "
                "below 0, and one of them above"
            )
        if self.temperature <= 0:
            raise InputError(
                f"--temperature={self.temperature} must be above 0"
            )


def student_config(teacher: str, **changes) -> TrainConfig:
    """Returns the teacher's settings with those that are not None changed."""
    run_dir.check_is_run(teacher)
    config = TrainConfig.read(teacher)
    changes = {
        key: value for key, value in changes.items() if value is not None
    }
    # The teacher's was for its size.
    changes.setdefault("learning_rate", None)
    # A student has to learn with all its weights.
    own = {
        "freeze_backbone": False, "trainable_layers": None, "lora_rank": None,
        "resume": "auto", "overwrite_output_dir": False,
    }  # fmt: skip
    return dataclasses.replace(config, **{**own, **changes})


def start_folder(output_dir: str) -> str:
    """Returns where a distillation keeps what it starts from until its end."""
    return f"{output_dir.rstrip(os.sep)}.start"


def is_only_trained(config: TrainConfig) -> bool:
    """Whether a student is trained, and not yet compared with its teacher."""
    files = (run_dir.METRICS, run_dir.DISTILLATION)
    is_trained, is_compared = (
        os.path.exists(os.path.join(config.output_dir, file)) for file in files
    )
    return (
        is_trained
        and not is_compared
        and os.path.exists(start_folder(config.output_dir))
        and config.resume != "never"
        and not config.overwrite_output_dir
    )
