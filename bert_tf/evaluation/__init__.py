"""What a trained model is worth: metrics, plots and tables."""
