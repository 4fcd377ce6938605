"""report.html and the model card."""
