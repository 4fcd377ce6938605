"""KerasNLP's BertTextClassifier.fit, as its guide has it."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras_nlp
import numpy as np

from benchmarks.contestants.keras_pause import Pause
from benchmarks.contestants.turns import Turns


def main() -> None:
    """Trains until it is told no more."""
    turns = Turns()
    settings = turns.settings
    backbone = keras_nlp.models.BertBackbone.from_preset(
        settings["model_folder"]
    )
    preprocessor = keras_nlp.models.BertTextClassifierPreprocessor(
        keras_nlp.models.BertTokenizer.from_preset(settings["model_folder"]),
        sequence_length=min(settings["length"], backbone.max_sequence_length),
    )
    classifier = keras_nlp.models.BertTextClassifier(
        backbone,
        num_classes=settings["num_classes"],
        preprocessor=preprocessor,
    )
    classifier.fit(
        np.array(settings["texts"], object),
        np.array(settings["labels"]),
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        verbose=0,
        callbacks=[Pause(turns)],
    )


if __name__ == "__main__":
    main()
