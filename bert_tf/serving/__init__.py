"""The exported SavedModel: writing it and asking it."""
