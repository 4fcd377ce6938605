"""What all contestants work on, and their processes.

The flags here are those of every benchmark against the peers.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from absl import flags

from benchmarks.contestant import Contestant
from bert_tf import labels as labels_lib
from bert_tf.data import examples
from bert_tf.metrics import classification
from bert_tf.presets import presets

TRAIN_FILE = flags.DEFINE_string("train_file", None, "Labelled texts.")
TEST_FILE = flags.DEFINE_string("test_file", None, "Labelled texts.")
PRESET = flags.DEFINE_string(
    "preset", "minilm_l6_en_uncased", "The checkpoint of all contestants."
)
PEERS_PYTHON = flags.DEFINE_string(
    "peers_python", None, "Python of the peers' environment; none: no peers."
)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Texts a batch.")
flags.mark_flags_as_required(["train_file", "test_file"])


@contextlib.contextmanager
def started(modules: dict, settings: dict) -> Iterator[list[Contestant]]:
    """Gives running contestants, those of the peers where there are any.

    Args:
        modules: name to module of `contestants` and what it is told besides.
        settings: what all are told, of `task_settings`.
    """
    contestants = []
    try:
        for name, (module, more) in modules.items():
            is_peer = module.endswith("_transformers")
            if is_peer and not PEERS_PYTHON.value:
                continue
            contestants.append(
                Contestant(
                    name,
                    module,
                    {**settings, **more},
                    python=PEERS_PYTHON.value if is_peer else None,
                )
            )
            print(
                f"{name}: ready after {contestants[-1].start_seconds:.1f} s",
                file=sys.stderr,
            )
        yield contestants
    finally:
        for contestant in contestants:
            contestant.stop()


def task_settings(folder: str) -> dict:
    """Returns what all contestants are told; they write into the folder."""
    preset = presets.resolve(PRESET.value)
    parts = {
        name: examples.read_examples([path])[0]
        for name, path in (("", TRAIN_FILE.value), ("test_", TEST_FILE.value))
    }
    class_names = labels_lib.class_names(parts[""]["label"])
    settings = {
        "train_file": TRAIN_FILE.value,
        "test_file": TEST_FILE.value,
        "preset": PRESET.value,
        "model_folder": preset.source,
        "output_dir": os.path.join(folder, "run"),
        "num_classes": len(class_names),
        "batch_size": BATCH_SIZE.value,
        "max_seq_length": min(128, preset.max_positions or 128),
        "epochs": 3,
        "threads": os.cpu_count(),
    }
    if len(class_names) == 2:
        settings["positive_class"] = class_names.index(
            classification.positive_class(class_names)
        )
    for name, part in parts.items():
        settings[f"{name}texts"] = list(part["text"])
        settings[f"{name}labels"] = labels_lib.class_ids(
            part["label"], class_names
        )
    return settings
