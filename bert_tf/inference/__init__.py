"""Models that answer: a run in Keras, an exported SavedModel."""
