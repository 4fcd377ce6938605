"""What differs between tasks: labels, loss, metrics and outputs."""
