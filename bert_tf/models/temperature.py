"""Temperature scaling: the logits divided by a number, so that scores are true.

The last layer's weights are divided instead of the logits, which is the same
and leaves every graph, the exported ones included, as it is.
"""

import os

import keras

from bert_tf import run_dir

_LAST_LAYER = "logits"


def apply_temperature(model: keras.Model, temperature: float) -> None:
    """Divides the model's logits by `temperature` from now on."""
    layer = model.get_layer(_LAST_LAYER)
    for variable in (layer.kernel, layer.bias):
        variable.assign(variable / temperature)


def read_temperature(path: str) -> float:
    """Returns a run's temperature; 1 where it was not calibrated."""
    file = os.path.join(path, run_dir.CALIBRATION)
    if not os.path.exists(file):
        return 1.0
    return run_dir.read_json(file)["temperature"]
