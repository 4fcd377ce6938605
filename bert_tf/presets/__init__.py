"""Resolves --preset: one converter per checkpoint format."""
