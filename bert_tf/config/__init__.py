"""Settings of each command: frozen dataclasses without TensorFlow."""
