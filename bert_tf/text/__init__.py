"""Text to token ids as google-research/bert does it, in the graph."""
