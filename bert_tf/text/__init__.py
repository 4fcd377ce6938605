"""In-graph tokenization, compatible with google-research/bert."""
