"""Transformers' Trainer with dynamic padding, also grouped by length."""

import tempfile

import torch
import transformers

from benchmarks.contestants.turns import StepTurns, Turns


class _Pause(transformers.TrainerCallback):
    def __init__(self, step_turns: StepTurns, batch_size: int):
        self._step_turns = step_turns
        self._batch_size = batch_size

    def on_step_end(self, args, state, control, **kwargs):
        self._step_turns.step_ended(self._batch_size)


def build_trainer(
    settings: dict, folder: str, **arguments
) -> transformers.Trainer:
    """Returns a Trainer as Transformers' text classification guide has it."""
    torch.set_num_threads(settings["threads"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        settings["model_folder"]
    )

    def encode(texts: list[str], labels: list[int]) -> list[dict]:
        encoded = tokenizer(texts, truncation=True, max_length=128)
        return [
            {
                **{name: values[row] for name, values in encoded.items()},
                "labels": label,
            }
            for row, label in enumerate(labels)
        ]

    return transformers.Trainer(
        model=transformers.AutoModelForSequenceClassification.from_pretrained(
            settings["model_folder"], num_labels=settings["num_classes"]
        ),
        args=transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=settings["batch_size"],
            per_device_eval_batch_size=64,
            num_train_epochs=settings["epochs"],
            learning_rate=5e-5,
            train_sampling_strategy=(
                "group_by_length" if settings["grouped"] else "random"
            ),
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            **arguments,
        ),
        train_dataset=encode(settings["texts"], settings["labels"]),
        eval_dataset=encode(settings["test_texts"], settings["test_labels"]),
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )


def main() -> None:
    """Trains until it is told no more."""
    turns = Turns()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(turns.settings, folder)
        trainer.add_callback(
            _Pause(StepTurns(turns), turns.settings["batch_size"])
        )
        trainer.train()


if __name__ == "__main__":
    main()
