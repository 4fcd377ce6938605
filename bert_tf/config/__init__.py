"""The settings of each command: frozen, checked, free of TensorFlow."""
