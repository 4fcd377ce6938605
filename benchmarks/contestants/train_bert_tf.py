"""This project: `train` as pipelines.train calls it."""

import keras

from benchmarks.contestants.turns import StepTurns, Turns
from bert_tf.config import TrainConfig
from bert_tf.training.train import train


class _Pause(keras.callbacks.Callback):
    def __init__(self, step_turns: StepTurns, batch_size: int):
        super().__init__()
        self._step_turns = step_turns
        self._batch_size = batch_size

    def on_train_batch_end(self, batch, logs=None):
        self._step_turns.step_ended(self._batch_size)


def main() -> None:
    """Trains until it is told no more."""
    turns = Turns()
    settings = turns.settings
    train(
        TrainConfig(
            train_file=(settings["train_file"],),
            validation_file=(settings["test_file"],),
            preset=settings["preset"],
            output_dir=settings["output_dir"],
            max_seq_length=settings["max_seq_length"],
            train_batch_size=settings["batch_size"],
            # The others save nothing within an epoch either, and this clock
            # would run on in their turns.
            checkpoint_seconds=3600,
        ),
        callbacks=[_Pause(StepTurns(turns), settings["batch_size"])],
    )


if __name__ == "__main__":
    main()
