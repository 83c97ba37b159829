"""Rounds on an Argilla server."""
