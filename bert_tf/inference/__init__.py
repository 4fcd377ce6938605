"""Predictions from a run folder or an exported SavedModel."""
