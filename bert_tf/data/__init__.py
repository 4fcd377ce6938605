"""Files of labelled texts, from disk to batches of token ids."""
