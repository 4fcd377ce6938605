"""A script as people write it with Transformers' Trainer, from file to model.

Reads a CSV file, splits off a tenth, trains with an evaluation and a
checkpoint each epoch, reads the best one back, evaluates it and saves it.
"""

import argparse
import csv
import json
import os

import numpy as np
import torch
import transformers
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split


def main() -> None:
    """Trains, prints the metrics and saves the model."""
    parser = argparse.ArgumentParser()
    for name in ("train_file", "model_folder", "output_dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    with open(arguments.train_file, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["label"] for row in rows})
    labels = [names.index(row["label"]) for row in rows]
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        arguments.model_folder
    )
    encoded = tokenizer(
        [row["text"] for row in rows], truncation=True, max_length=128
    )
    examples = [
        {
            **{name: values[row] for name, values in encoded.items()},
            "labels": label,
        }
        for row, label in enumerate(labels)
    ]
    train, validation = train_test_split(
        examples, test_size=0.1, stratify=labels, random_state=42
    )
    trainer = transformers.Trainer(
        model=transformers.AutoModelForSequenceClassification.from_pretrained(
            arguments.model_folder, num_labels=len(names)
        ),
        args=transformers.TrainingArguments(
            output_dir=arguments.output_dir,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            num_train_epochs=arguments.epochs,
            learning_rate=5e-5,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="f1",
            report_to="none",
            use_cpu=True,
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda outputs: _metrics(*outputs),
    )
    trainer.train()
    print(json.dumps(trainer.evaluate()))
    trainer.save_model(arguments.output_dir)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predicted = logits.argmax(-1)
    return {
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted, average="macro"),
    }


if __name__ == "__main__":
    main()
