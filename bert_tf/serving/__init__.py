"""Exports SavedModels and queries TensorFlow Serving."""
