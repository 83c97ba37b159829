"""Cleaning: from texts as they were exported to texts that may be labelled, trained on and published."""
