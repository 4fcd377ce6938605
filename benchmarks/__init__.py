"""Measurements: ratios of things timed interleaved in one run."""
