"""A real Argilla server on this machine for pilots: one command, no Docker, Elasticsearch or Redis.

`launch` starts it; `server/` holds what runs in the server's own environment. It is good for one machine and a few
thousand records. Production uses a full Argilla: see docs/local_argilla.md.
"""
