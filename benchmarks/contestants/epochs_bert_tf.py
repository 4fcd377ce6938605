"""This project: the test F1 and the training time after each epoch."""

import os
import time

import keras

from benchmarks.contestants.turns import Turns
from bert_tf.config.training import TrainConfig
from bert_tf.training.train import train_files


class _Epochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.f1 = []
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        # Epoch 0, the linear probe, has no steps.
        if epoch < 0:
            return
        self.f1.append(logs["eval_f1"])
        self.seconds.append(self._last - self._start)


def main() -> None:
    """Trains with the default settings, once a turn."""
    turns = Turns()
    settings = turns.settings
    task = turns.wait()
    while True:
        epochs = _Epochs()
        train_files(
            TrainConfig(
                train_file=(settings["train_file"],),
                validation_file=(settings["test_file"],),
                preset=settings["preset"],
                output_dir=os.path.join(
                    settings["output_dir"], str(task["seed"])
                ),
                max_seq_length=settings["max_seq_length"],
                train_batch_size=settings["batch_size"],
                num_train_epochs=settings["epochs"],
                # Epoch by epoch beside the Trainer's.
                contrastive="false",
                seed=task["seed"],
            ),
            callbacks=[epochs],
        )
        task = turns.wait(f1=epochs.f1, seconds=epochs.seconds)


if __name__ == "__main__":
    main()
