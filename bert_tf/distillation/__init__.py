"""Distils a fine-tuned model into a smaller one."""
