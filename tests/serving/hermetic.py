"""A SavedModel in a process that never imported Keras or this project."""

import json
import shutil
import subprocess
import sys

_SCRIPT = """
import json, sys
import tensorflow as tf
import tensorflow_text

path, inputs = sys.argv[1], json.loads(sys.argv[2])
answer = tf.saved_model.load(path).signatures["serving_default"](
    **{name: tf.constant(texts) for name, texts in inputs.items()}
)
foreign = {"keras_nlp", "keras_hub", "bert_tf"} & set(sys.modules)
assert not foreign, foreign
decode = lambda value: value.decode() if isinstance(value, bytes) else value
def plain(values):
    if isinstance(values, list):
        return [plain(value) for value in values]
    return decode(values)
print(json.dumps({k: plain(v.numpy().tolist()) for k, v in answer.items()}))
"""


def answers(model: str, folder, **inputs: list[str]) -> dict:
    """Returns what a moved SavedModel answers there; strings decoded."""
    moved = str(folder / "moved")
    shutil.copytree(model, moved)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, moved, json.dumps(inputs)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
