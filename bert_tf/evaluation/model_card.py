"""README.md of a run folder: a model card as model hubs expect it."""

import os
import re
import shlex

import yaml

from bert_tf import run_dir
from bert_tf.config.training import TrainConfig
from bert_tf.evaluation import verdict
from bert_tf.evaluation.page import build_environment, export_name

# What the hubs call our metrics, in the order in which a card lists them.
_HUB_METRICS = {
    "accuracy": "eval_accuracy",
    "f1": "eval_f1",
    "matthews_correlation": "eval_matthews_correlation",
    "roc_auc": "eval_roc_auc",
}
# Checkpoints whose licence is known without a network.
_KNOWN_BASES = {
    "minilm_l6_en_uncased": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
    )
}
_MOST_CLASSES = 100


def write_card(folder: str, metrics: dict, *, part: str) -> None:
    """Writes the model card of a run.

    Args:
        folder: the run folder, with its config.json and data_report.json.
        metrics: what `complete_metrics` returned for the part reported.
        part: test or validation.
    """
    config = read_config(folder)
    name = _name(config)
    front = {
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "bert", "tensorflow", "keras"],
        "metrics": [
            key for key, full in _HUB_METRICS.items()
            if metrics[full] is not None
        ],
        "model-index": [_index_entry(name, metrics, config, part)],
    }  # fmt: skip
    render(
        "model_card.md", folder, config, metrics, front,
        part=part,
        rows=[
            (title, verdict.describe_interval(metrics, key))
            for title, key in (
                ("accuracy", "eval_accuracy"), ("F1", "eval_f1"),
                ("F1, macro", "eval_f1_macro"),
                ("Matthews correlation", "eval_matthews_correlation"),
                ("ROC AUC", "eval_roc_auc"), ("cross-entropy", "eval_loss"),
            )
        ],
        sentences=verdict.verdict(metrics, part=f"the {part} part"),
        classes=metrics["labels"][:_MOST_CLASSES],
        more_classes=max(0, len(metrics["labels"]) - _MOST_CLASSES),
    )  # fmt: skip


def read_config(folder: str) -> TrainConfig:
    """Returns the settings of a run."""
    return TrainConfig.from_json(
        run_dir.read_json(os.path.join(folder, run_dir.CONFIG))
    )


def _name(config: TrainConfig) -> str:
    return os.path.basename(os.path.normpath(config.output_dir))


def render(
    template: str,
    folder: str,
    config: TrainConfig,
    metrics: dict,
    front: dict,
    **values,
) -> None:
    """Writes README.md of a run from a template.

    Args:
        template: its name; it extends card.md.
        folder: the run folder.
        config: its settings.
        metrics: of the part reported.
        front: what hubs read, besides the checkpoint, licence and language.
        values: what the template needs besides.
    """
    base, license_name = base_and_license(config.preset)
    front = {
        "language": language(config.preset),
        "license": license_name,
        **({"base_model": base} if base else {}),
        **front,
    }
    text = build_environment().get_template(template).render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        name=_name(config),
        run=shlex.quote(config.output_dir),
        export_name=export_name(config.output_dir),
        config=config,
        base=base or config.preset,
        license=license_name,
        metrics=metrics,
        data=run_dir.read_json(os.path.join(folder, run_dir.DATA_REPORT)),
        files=[
            os.path.basename(path)
            for path in (*config.train_file, *config.validation_file,
                         *config.test_file)
        ],
        **values,
    )  # fmt: skip
    run_dir.write_text(os.path.join(folder, run_dir.MODEL_CARD), text)


def base_and_license(preset: str) -> tuple[str | None, str]:
    """Returns a checkpoint's name on a model hub, if known, and its licence."""
    base, license_name = _KNOWN_BASES.get(preset, (None, "unknown"))
    if base is None and preset.startswith("hf://"):
        base = preset.removeprefix("hf://")
    return base, license_name


def language(preset: str) -> str:
    """Returns the language that a checkpoint's name tells, else "und".

    KerasNLP names it (`bert_base_en_uncased`), "und" is ISO 639's code for
    undetermined.
    """
    if "multi" in preset.lower():
        return "multilingual"
    match = re.search(r"_(en|zh|ar|cs|de|es|fr|ja|ko|pt|ru)(_|$)", preset)
    return match.group(1) if match else "und"


def _index_entry(name, metrics, config, part) -> dict:
    return {
        "name": name,
        "results": [
            {
                "task": {"type": "text-classification"},
                "dataset": {
                    "name": ", ".join(
                        os.path.basename(path)
                        for path in (
                            config.test_file if part == "test"
                            else config.validation_file or config.train_file
                        )
                    ),
                    "type": "csv",
                    "split": part,
                },
                "metrics": [
                    {"type": key, "value": round(metrics[full], 6)}
                    for key, full in _HUB_METRICS.items()
                    if metrics[full] is not None
                ],
            }
        ],
    }  # fmt: skip
