"""The work itself, in plain Python: nothing below this package knows dagster."""
