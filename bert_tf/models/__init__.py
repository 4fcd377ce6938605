"""Backbones, the encoder and the heads on top of them."""
