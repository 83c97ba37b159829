"""Names of the files in the home folder, for the server and for what starts it."""

from typing import Final

CREDENTIALS: Final = "credentials.json"
DATABASE: Final = "argilla.db"
UNFINISHED: Final = "argilla.db.unfinished"
"""Exists until the first start has finished: a database beside it holds nobody's work and is made again."""
