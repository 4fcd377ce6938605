"""What differs between tasks: labels, head, loss, metrics and answers."""
