"""The command-line scripts: flags to a config to one call of the library."""

import os

# TensorFlow reads this once, when it is imported: without it, every command
# starts with notes on CPU features and missing GPUs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
