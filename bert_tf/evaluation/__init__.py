"""Metrics, comparisons, plots and reports of a trained model."""
