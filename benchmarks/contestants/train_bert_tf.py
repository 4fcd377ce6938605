"""This project: `train` as pipelines.train calls it."""

from benchmarks.contestants.keras_pause import Pause
from benchmarks.contestants.turns import Turns
from bert_tf.config.training import TrainConfig
from bert_tf.training.train import train_files


def main() -> None:
    """Trains until it is told no more."""
    turns = Turns()
    settings = turns.settings
    train_files(
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
        callbacks=[Pause(turns)],
    )


if __name__ == "__main__":
    main()
