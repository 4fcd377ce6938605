"""The command-line scripts: flags to a config to one call of the library."""
