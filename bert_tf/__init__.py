"""From a file of labelled texts to a served BERT classifier in TensorFlow."""

import os

# Keras reads its backend once, at import. A user's ~/.keras/keras.json may
# name another one, under which nothing here could run.
os.environ["KERAS_BACKEND"] = "tensorflow"

__version__ = "0.1.0"
