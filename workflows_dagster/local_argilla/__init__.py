"""A real Argilla server on this machine for pilots: one command, no Docker, Elasticsearch or Redis."""
