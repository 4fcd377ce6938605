"""From a file of labelled texts to a served BERT classifier in TensorFlow."""

import importlib
import os

__version__ = "0.1.0"

# Keras reads its backend once, at import. A user's ~/.keras/keras.json may
# name another one, under which nothing here could run.
os.environ["KERAS_BACKEND"] = "tensorflow"


def _has_avx2() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return any("avx2" in line for line in file if "flags" in line)
    except OSError:
        return False


# TensorFlow leaves oneDNN off on x86 without AVX512-VNNI, where it trains 1.3
# times as fast with it. Read when TensorFlow is imported; a user's value stays.
if _has_avx2():
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# What is imported when it is asked for: `import bert_tf` alone takes no time.
_MODULES = {
    "train": "trainings", "search": "trainings",
    "load": "runs", "Run": "runs", "Model": "runs",
    "BertClassifier": "estimators", "BertRegressor": "estimators",
    "InputError": "errors",
}  # fmt: skip
__all__ = [*_MODULES]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'bert_tf' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bert_tf.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
