"""Exports a finished run as a SavedModel that TensorFlow Serving loads.

    python -m pipelines.export --run_dir=runs/first --name=tweets

The tokenizer is inside: strings in, class names out. The model is published
as saved_models/NAME/VERSION only if it answers as the trained model did.
"""

from absl import flags, logging

from bert_tf.serving import export
from pipelines import app

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Run folder that pipelines.train wrote."
)
_NAME = flags.DEFINE_string("name", None, "Name of the model.")
_MODELS_DIR = flags.DEFINE_string(
    "models_dir", "saved_models", "Folder of all exported models."
)


def main(argv: list[str]) -> None:
    """Exports the run."""
    del argv
    path = export.export(
        _RUN_DIR.value, name=_NAME.value, models_dir=_MODELS_DIR.value
    )
    logging.info(
        'Exported %s. Next:\n  python -m pipelines.predict --model=%s "a text"',
        path,
        path,
    )


if __name__ == "__main__":
    flags.mark_flags_as_required(["run_dir", "name"])
    app.run_script(main)
