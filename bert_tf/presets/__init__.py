"""What --preset names: one converter per kind of checkpoint."""
