"""Pretrained backbones and the heads on top of them."""
