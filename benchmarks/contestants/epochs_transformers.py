"""Transformers' Trainer: the test F1 and the training time of each epoch."""

import tempfile
import time

import transformers
from sklearn.metrics import f1_score

from benchmarks.contestants.train_transformers import build_trainer
from benchmarks.contestants.turns import Turns


class _Epochs(transformers.TrainerCallback):
    def __init__(self):
        self.f1 = []
        self.seconds = []

    def on_epoch_begin(self, args, state, control, **kwargs):
        self._start = time.perf_counter()

    def on_epoch_end(self, args, state, control, **kwargs):
        self.seconds.append(time.perf_counter() - self._start)

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.f1.append(metrics["eval_f1"])


def main() -> None:
    """Trains as the guide has it, once a turn."""
    turns = Turns()
    settings = turns.settings
    positive = settings["positive_class"]
    task = turns.wait()
    while True:
        # Before the head is drawn.
        transformers.set_seed(task["seed"])
        epochs = _Epochs()
        with tempfile.TemporaryDirectory() as folder:
            trainer = build_trainer(
                settings, folder, seed=task["seed"], eval_strategy="epoch"
            )
            trainer.compute_metrics = lambda outputs: {
                "f1": f1_score(
                    outputs.label_ids == positive,
                    outputs.predictions.argmax(-1) == positive,
                )
            }
            trainer.add_callback(epochs)
            trainer.train()
        task = turns.wait(f1=epochs.f1, seconds=epochs.seconds)


if __name__ == "__main__":
    main()
