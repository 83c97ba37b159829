"""A real Argilla server on this machine for pilots: one command, no Docker, Elasticsearch or Redis."""

from typing import Final

DEFAULT_PORT: Final = 6900
"""Port that it listens on unless asked otherwise."""
