"""Pretrains a backbone on raw text."""
