"""Files to rows: one file per format, and their registry."""
