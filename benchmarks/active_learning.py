"""Labelling what `pipelines.suggest` names, against labelling at random.

    .venv/bin/python -m benchmarks.active_learning --data_dir=../shared/data

From 50 random labelled rows on, 50 more a round: logistic regression on
sentence vectors, asked rows that are held out of the training files. Prints
means over samples, and the mean difference to random rows with its standard
error. Three minutes on two cores.
"""

import numpy as np
import pandas as pd
from absl import app, flags
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks import data_sets
from bert_tf.inference import embeddings, suggestions
from bert_tf.presets import presets

_DATA_DIR = flags.DEFINE_string("data_dir", "../shared/data", "Data sets.")
_SETS = flags.DEFINE_list("sets", ["trec", "tweets", "headlines"], "Which.")
_SAMPLES = flags.DEFINE_integer("samples", 5, "How many.")
_BATCH, _ROUNDS = 50, 6
_PRESET = "minilm_l6_en_uncased"


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Returns the entropy of each row."""
    return -(probabilities * np.log(probabilities + 1e-9)).sum(axis=1)


def choose(strategy, probabilities, vectors, generator) -> np.ndarray:
    """Returns rows of a pool to label."""
    if strategy == "random":
        return generator.choice(len(vectors), _BATCH, replace=False)
    if strategy == "entropy":
        return np.argsort(-entropy(probabilities))[:_BATCH]
    if strategy == "margin":
        return np.argsort(suggestions.margins(probabilities))[:_BATCH]
    return suggestions.choose(probabilities, lambda rows: vectors[rows], _BATCH)


def curve(strategy, train, labels, test, test_labels, seed) -> list[float]:
    """Returns the accuracy after each round."""
    generator = np.random.default_rng(seed)
    labelled = list(generator.permutation(len(train))[:_BATCH])
    found = []
    for _ in range(_ROUNDS):
        model = LogisticRegression(C=10, max_iter=300)
        model.fit(train[labelled], labels[labelled])
        found.append(model.score(test, test_labels))
        pool = np.setdiff1d(np.arange(len(train)), labelled)
        rows = choose(
            strategy, model.predict_proba(train[pool]), train[pool], generator
        )
        labelled += list(pool[rows])
    return found


def main(argv: list[str]) -> None:
    """Simulates and prints."""
    del argv
    embedder = embeddings.Embedder(presets.resolve(_PRESET), max_seq_length=64)
    for name in _SETS.value:
        parts = data_sets.read_set(name, _DATA_DIR.value, held_out=True)
        train, test = (embedder(list(part["text"])) for part in parts)
        center = train.mean(axis=0)
        curves = {
            strategy: np.array(
                [
                    curve(
                        strategy,
                        train - center,
                        parts[0]["label"].to_numpy(),
                        test - center,
                        parts[1]["label"].to_numpy(),
                        seed,
                    )
                    for seed in range(_SAMPLES.value)
                ]
            )
            for strategy in ("random", "entropy", "margin", "suggest")
        }
        table = pd.DataFrame(
            {key: value.mean(axis=0) for key, value in curves.items()},
            index=pd.Index(
                np.arange(1, _ROUNDS + 1) * _BATCH, name=f"{name}: labels"
            ),
        )
        print(table.round(3).to_string())
        # Of the rounds that were chosen.
        gains = (curves["suggest"] - curves["random"])[:, 1:].mean(axis=1)
        error = gains.std(ddof=1) / len(gains) ** 0.5
        print(f"suggest less random: {gains.mean():+.4f} (error {error:.4f})\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        app.run(main)
