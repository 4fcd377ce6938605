"""Fine-tuning under every tf.distribute strategy."""
