"""Learning a language from raw text, and smaller models of larger ones."""
