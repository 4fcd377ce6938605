"""Measurements: ratios of things timed by turns in one run."""
