"""This project: an exported SavedModel, asked as pipelines.predict asks it."""

import os

from benchmarks.contestants.turns import Turns, predict_by_turns
from bert_tf.inference.saved_model_predictor import SavedModelPredictor


def main() -> None:
    """Predicts when it is told to."""
    turns = Turns()
    predictor = SavedModelPredictor(
        turns.settings["saved_model"], threads=os.cpu_count()
    )
    predict_by_turns(
        turns,
        lambda texts: predictor.probabilities(
            (texts,), batch_size=turns.settings["batch_size"]
        ),
    )


if __name__ == "__main__":
    main()
