"""Fine-tuning settings, validated on construction."""

import dataclasses

from bert_tf.config.base import BaseConfig
from bert_tf.errors import InputError, check_installed

CLASS_WEIGHTS = ("none", "balanced")
LONG_TEXTS = ("truncate", "head_tail", "window")
WINDOW_POOLINGS = ("mean", "max")
POOLINGS = ("auto", "cls", "mean")
HEAD_INITS = ("auto", "linear_probe", "random")
CONTRASTIVE = ("auto", "true", "false")
# Tasks whose head is a linear model of a text's features.
PROBED_TASKS = ("classification", "multi_label", "regression")
# What --metric_for_best_model takes, by task.
_METRICS_OF_TASK = {
    "classification": (
        "accuracy", "f1", "f1_macro", "f1_weighted", "matthews_correlation",
        "roc_auc", "loss",
    ),
    "regression": ("pearson", "spearman", "mean_squared_error", "loss"),
    "multi_label": ("f1_micro", "f1_macro", "subset_accuracy", "loss"),
    "span": ("exact_match", "f1", "loss"),
    "token": ("f1", "precision", "recall", "f1_macro", "loss"),
}  # fmt: skip
TRACKERS = ("tensorboard", "mlflow")
TASKS = tuple(_METRICS_OF_TASK)
# All of them, and whether more is better.
SELECTION_METRICS = {
    metric: metric not in ("loss", "mean_squared_error")
    for metrics in _METRICS_OF_TASK.values()
    for metric in metrics
}
_SEPARATOR_WORDS = {" ": "space", "\t": "tab"}
# [CLS], one word piece and [SEP].
_SHORTEST_SEQUENCE = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(BaseConfig):
    """Every setting of `pipelines.train`; a field has its flag's name.

    Fields that are None are decided while training starts; what config.json
    in the run folder holds is what was decided.
    """

    task: str = "classification"
    test_file: tuple[str, ...] = ()
    validation_split: float = 0.1
    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    label_names: tuple[str, ...] = ()
    label_separator: str = ","
    drop_incomplete: bool = False
    merge_label_case: bool = False
    doc_stride: int = 64
    label_issues_file: str | None = None
    drop_label_issues: float | None = None
    max_train_samples: int | None = None
    max_eval_samples: int | None = None
    preset: str = "minilm_l6_en_uncased"
    max_seq_length: int | None = None
    long_text: str = "truncate"
    window_pooling: str = "mean"
    train_batch_size: int | None = None
    num_train_epochs: int | None = None
    pooling: str = "auto"
    head_init: str = "auto"
    contrastive: str = "auto"
    refit: bool | None = None
    calibrate: bool | None = None
    freeze_backbone: bool = False
    trainable_layers: str | None = None
    lora_rank: int | None = None
    layerwise_learning_rate_decay: float = 1.0
    class_weight: str = "none"
    metric_for_best_model: str | None = None
    positive_label: str | None = None
    early_stopping_patience: int | None = None
    steps_per_execution: int = 1
    pad_to_multiple_of: int | None = None
    max_truncated_share: float = 0.05
    report_to: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self):
        """Raises InputError for a value that no data could make right."""
        self._check_files()
        self._check_training(shortest_sequence=_SHORTEST_SEQUENCE)
        self._check_above_zero(
            "max_train_samples", "early_stopping_patience",
            "steps_per_execution", "doc_stride", "lora_rank",
            "layerwise_learning_rate_decay", "pad_to_multiple_of",
        )  # fmt: skip
        if self.num_train_epochs is not None and self.num_train_epochs < 0:
            raise InputError(
                f"--num_train_epochs={self.num_train_epochs} is below 0"
            )
        if not self.validation_file and self.validation_split == 0:
            raise InputError(
                "--validation_split=0 needs a --validation_file: without "
                "validation examples the best epoch cannot be told"
            )
        if (self.drop_label_issues is None) != (not self.label_issues_file):
            raise InputError(
                "--label_issues_file and --drop_label_issues need each other"
            )
        if self.label_issues_file and self.task != "classification":
            raise InputError("--label_issues_file is for --task=classification")
        if not 0 <= (self.drop_label_issues or 0) < 1:
            raise InputError(
                f"--drop_label_issues={self.drop_label_issues} must be a share "
                "from 0 to 1"
            )
        if self.refit and self.validation_file:
            raise InputError(
                "--refit trains on the rows that were split off for "
                "validation, and --validation_file gives others"
            )
        if not 0 <= self.max_truncated_share <= 1:
            raise InputError(
                f"--max_truncated_share={self.max_truncated_share} must be "
                "from 0 to 1"
            )
        self._check_choice("class_weight", CLASS_WEIGHTS)
        self._check_choice("task", TASKS)
        self._check_choice("long_text", LONG_TEXTS)
        self._check_choice("window_pooling", WINDOW_POOLINGS)
        self._check_choice("pooling", POOLINGS)
        self._check_choice("head_init", HEAD_INITS)
        self._check_choice("contrastive", CONTRASTIVE)
        for name in self.report_to:
            if name not in TRACKERS:
                raise InputError(
                    f"--report_to={name} is none of {', '.join(TRACKERS)}"
                )
        self._check_task()

    def check_trackers(self) -> None:
        """Raises InstallationError where a tracker's package is missing."""
        if "mlflow" in self.report_to:
            check_installed("mlflow", "--report_to=mlflow", "mlflow-skinny")

    def _check_task(self) -> None:
        metrics = _METRICS_OF_TASK[self.task]
        ways = {
            "--freeze_backbone": self.freeze_backbone,
            "--trainable_layers": self.trainable_layers is not None,
            "--lora_rank": self.lora_rank is not None,
        }
        if sum(ways.values()) > 1:
            used = [flag for flag, is_used in ways.items() if is_used]
            raise InputError(f"{' and '.join(used)} exclude each other")
        if self.layerwise_learning_rate_decay > 1:
            raise InputError(
                "--layerwise_learning_rate_decay="
                f"{self.layerwise_learning_rate_decay} is above 1"
            )
        if self.metric_for_best_model not in (None, *metrics):
            raise InputError(
                f"--metric_for_best_model={self.metric_for_best_model} must be "
                f"one of {', '.join(metrics)} for --task={self.task}"
            )
        if not self.label_separator:
            raise InputError("--label_separator must not be empty")
        # White space does not stand in a flag file.
        word = _SEPARATOR_WORDS.get(self.label_separator, self.label_separator)
        object.__setattr__(self, "label_separator", word)
        if self.long_text != "truncate" and self.task in ("token", "span"):
            raise InputError(
                f"--long_text={self.long_text} does not go with "
                f"--task={self.task}, which asks for every word"
            )
        if self.window_pooling != "mean" and self.long_text != "window":
            raise InputError(
                f"--window_pooling={self.window_pooling} needs "
                "--long_text=window"
            )
        if self.calibrate and self.long_text == "window":
            raise InputError(
                "--calibrate does not go with --long_text=window: the "
                "temperature of a text's windows is not that of their mean"
            )
        if self.head_init == "linear_probe" and self.task not in PROBED_TASKS:
            raise InputError(
                "--head_init=linear_probe is for --task="
                f"{'|'.join(PROBED_TASKS)}"
            )
        self._check_epoch_0()
        if self.task == "classification":
            return
        for flag, is_used in (
            ("--calibrate", self.calibrate),
            ("--class_weight", self.class_weight != "none"),
            ("--contrastive", self.contrastive == "true"),
        ):
            if is_used:
                raise InputError(
                    f"{flag} is for --task=classification, where a text has "
                    "one class of several"
                )

    def _check_epoch_0(self) -> None:
        """Checks what comes before the first epoch."""
        if self.contrastive == "true":
            for flag, excludes in (
                ("--head_init=random", self.head_init == "random"),
                ("--freeze_backbone", self.freeze_backbone),
                ("--num_train_epochs=0", self.num_train_epochs == 0),
            ):
                if excludes:
                    raise InputError(
                        f"--contrastive=true does not go with {flag}: it "
                        "trains the backbone, and a linear probe follows"
                    )
        if self.num_train_epochs == 0 and (
            self.head_init == "random" or self.task not in PROBED_TASKS
        ):
            raise InputError(
                "--num_train_epochs=0 trains nothing but the linear probe, "
                "which --task=token|span and --head_init=random do not have"
            )

    @property
    def separator(self) -> str:
        """What stands between labels: --label_separator, words replaced."""
        characters = {word: one for one, word in _SEPARATOR_WORDS.items()}
        return characters.get(self.label_separator, self.label_separator)

    @property
    def window_stride(self) -> int | None:
        """From window to window over long texts; None where there are none."""
        has_windows = self.task == "span" or self.long_text == "window"
        return self.doc_stride if has_windows else None

    @property
    def backbone_dropout(self) -> float:
        """The backbone's dropout: frozen, its features must not change."""
        return 0.0 if self.freeze_backbone else self.dropout
