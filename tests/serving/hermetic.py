"""SavedModels in a process that can import TensorFlow and its text only.

Run folders, vocabularies, labels and this project are out of reach; the models
were moved and their assets.extra deleted.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

_SCRIPT = """
import json, sys
site, requests = sys.argv[1], json.loads(sys.argv[2])
sys.path.append(site)
import importlib.util
for name in ("keras_nlp", "keras_hub", "bert_tf", "pandas", "sklearn",
             "tensorflow_serving"):
    assert importlib.util.find_spec(name) is None, name
import tensorflow as tf, tensorflow_text

def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value

answers = {}
for name, (path, inputs) in requests.items():
    loaded = tf.saved_model.load(path)
    outputs = loaded.signatures["serving_default"](
        **{key: tf.constant(texts) for key, texts in inputs.items()}
    )
    answers[name] = {k: plain(v.numpy().tolist()) for k, v in outputs.items()}
print(json.dumps(answers))
"""


def answers(
    models: Mapping[str, tuple[str, dict[str, list[str]]]], folder
) -> dict[str, dict]:
    """Returns what moved SavedModels answer there; strings decoded.

    Args:
        models: paths, and the texts of each input, by any name.
        folder: an empty one.
    """
    site = folder / "site"
    site.mkdir()
    for package in _requirements_of("tensorflow", "tensorflow-text"):
        distribution = importlib.metadata.distribution(package)
        for file in distribution.files or []:
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                os.symlink(distribution.locate_file(top), site / top)
    requests = {}
    for number, (name, (path, inputs)) in enumerate(models.items()):
        moved = folder / f"moved{number}"
        shutil.copytree(path, moved)
        shutil.rmtree(moved / "assets.extra")
        requests[name] = (str(moved), inputs)
    # -I and -S: neither this folder, nor the environment's packages.
    done = subprocess.run(
        [
            sys.executable, "-I", "-S", "-c", _SCRIPT, str(site),
            json.dumps(requests),
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def _requirements_of(*names: str) -> set[str]:
    """Returns the packages that these need, themselves included."""
    found, waiting = set(), list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            re.match(r"[\w.-]+", requirement)[0]
            for requirement in requires
            if "extra ==" not in requirement
        ]
    return found
