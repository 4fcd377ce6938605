"""A Keras callback that works in turns."""

import keras

from benchmarks.contestants.turns import StepTurns, Turns


class Pause(keras.callbacks.Callback):
    """Waits for its turn after so many steps as it was told."""

    def __init__(self, turns: Turns):
        super().__init__()
        self._step_turns = StepTurns(turns)
        self._batch_size = turns.settings["batch_size"]

    def on_train_batch_end(self, batch, logs=None):
        """Counts a step."""
        self._step_turns.step_ended(self._batch_size)
