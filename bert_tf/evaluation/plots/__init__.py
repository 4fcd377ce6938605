"""Plots of an evaluation and of a training."""
