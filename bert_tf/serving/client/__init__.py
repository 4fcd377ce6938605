"""A client for TensorFlow Serving."""
