"""Checks of an installation and of TPU compilation."""
