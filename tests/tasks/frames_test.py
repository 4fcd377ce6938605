"""Every task from a DataFrame, as from its file."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

import bert_tf
from bert_tf.config.training import TrainConfig
from bert_tf.inference import batch_prediction
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from tests.runs import evaluate_files
from tests.tasks import files
from tests.training.checkpoints_test import weights
from tests.training.train_test import without_times

# Where the run is, and how files are read.
_NOT_SETTINGS = ("train_file", "test_file", "output_dir", "text_column",
                 "text_pair_column", "label_column", "id_column")  # fmt: skip


def frame_of(task_run) -> pd.DataFrame:
    """The rows of the file that a task's run was trained on."""
    if task_run.name == "token":
        rows = [map(" ".join, row) for row in files.sentences(240)]
        return pd.DataFrame(rows, columns=["text", "label"])
    if task_run.name == "span":
        rows = files.questions(240, longest=30)
        return pd.DataFrame(rows, columns=["question", "context", "answers"])
    return pd.read_csv(task_run.file, keep_default_na=False)


@pytest.mark.slow
def test_a_frame_is_as_good_as_its_file(task_run, tmp_path):
    """Slow, for it trains and exports each task once more."""
    config = TrainConfig.read(task_run.run)
    settings = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _NOT_SETTINGS
    }
    frame = frame_of(task_run)
    run = bert_tf.train(frame, output_dir=tmp_path / "run", **settings)
    ours, theirs = weights(run.path), weights(task_run.run)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])

    of_file = evaluate_files(task_run.run, (task_run.file,)).metrics
    assert without_times(run.evaluate(frame)) == without_times(of_file)

    # As pipelines.predict answers the file.
    text = io.StringIO(newline="")
    batch_prediction.predict(
        lambda: SavedModelPredictor(task_run.model),
        batch_prediction.read_batches((task_run.file,)),
        text,
    )
    text.seek(0)
    expected = pd.read_csv(text, keep_default_na=False)
    served = bert_tf.load(run.export("mine", models_dir=str(tmp_path)))
    for model in (run, served):
        answers = model.predict(frame)
        assert len(answers) == len(frame)
        for name in answers:
            if answers[name].dtype == float:
                np.testing.assert_allclose(
                    answers[name], expected[name].astype(float), atol=1e-5
                )
