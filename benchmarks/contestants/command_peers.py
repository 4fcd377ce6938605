"""Text classification as people write it with the peers, from file to file.

    python -m benchmarks.contestants.command_peers --method=trainer \
        --train_file=train.csv --test_file=test.csv --model_folder=MODEL \
        --output_file=labels.json

Reads CSV files with the columns text and label, and writes the labels that the
method gives to the test file's texts, in their order.
"""

import argparse
import csv
import json
import os
import tempfile

import numpy as np


def main() -> None:
    """Trains on a file and labels another."""
    parser = argparse.ArgumentParser()
    for name in ("train_file", "test_file", "model_folder", "output_file"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--method", choices=_METHODS, required=True)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    texts, labels = _read(arguments.train_file)
    test_texts, _ = _read(arguments.test_file)
    names = sorted(set(labels))
    ids = np.array([names.index(label) for label in labels])
    found = _METHODS[arguments.method](
        texts, ids, test_texts, arguments.model_folder, arguments.seed
    )
    with open(arguments.output_file, "w", encoding="utf-8") as file:
        json.dump([names[i] for i in found], file)


def _read(path: str) -> tuple[list[str], list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def word_counts(texts, ids, test_texts, model_folder, seed):
    """TF-IDF and logistic regression, as the baseline of the report."""
    del model_folder, seed
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    regression = LogisticRegression(C=10.0, max_iter=1000)
    regression.fit(vectorizer.fit_transform(texts), ids)
    return regression.predict(vectorizer.transform(test_texts))


def sentence_vectors(texts, ids, test_texts, model_folder, seed):
    """Frozen sentence vectors and logistic regression, with their defaults."""
    del seed
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    encode = SentenceTransformer(model_folder, device="cpu").encode
    regression = LogisticRegression(max_iter=1000).fit(encode(texts), ids)
    return regression.predict(encode(test_texts))


def trainer(texts, ids, test_texts, model_folder, seed, epochs=3):
    """Transformers' Trainer, all of its settings as they are."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)

    def examples(texts, ids):
        encoded = tokenizer(texts, truncation=True, max_length=128)
        return [
            {"input_ids": tokens, "labels": int(label)}
            for tokens, label in zip(encoded["input_ids"], ids, strict=True)
        ]

    transformers.set_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        trained = transformers.Trainer(
            model=transformers.AutoModelForSequenceClassification.from_pretrained(
                model_folder, num_labels=int(ids.max()) + 1
            ),
            args=transformers.TrainingArguments(
                output_dir=folder,
                num_train_epochs=epochs,
                seed=seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=examples(texts, ids),
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )
        trained.train()
        test = examples(test_texts, np.zeros(len(test_texts)))
        return trained.predict(test).predictions.argmax(-1)


def trainer_20(*arguments):
    """The same for 20 epochs, for few rows (Mosbach et al. 2021)."""
    return trainer(*arguments, epochs=20)


def setfit(texts, ids, test_texts, model_folder, seed):
    """SetFit, all of its settings as they are."""
    import setfit as library
    from datasets import Dataset

    model = library.SetFitModel.from_pretrained(model_folder, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        library.Trainer(
            model=model,
            args=library.TrainingArguments(
                output_dir=folder,
                report_to="none",
                save_strategy="no",
                seed=seed,
                show_progress_bar=False,
            ),
            train_dataset=Dataset.from_dict(
                {"text": texts, "label": [int(one) for one in ids]}
            ),
        ).train()
    return np.asarray(model.predict(test_texts, as_numpy=True), int)


_METHODS = {
    "word_counts": word_counts,
    "sentence_vectors": sentence_vectors,
    "trainer": trainer,
    "trainer_20": trainer_20,
    "setfit": setfit,
}

if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
