"""What is measured: each a process of its own that works when it is told to."""
