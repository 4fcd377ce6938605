"""Metrics as functions of labels and predictions."""
