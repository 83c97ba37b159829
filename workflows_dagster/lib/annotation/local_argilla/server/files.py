"""Names of the files in a local Argilla's home; both the server and the one that starts it go by them."""

from typing import Final

CREDENTIALS: Final = "credentials.json"
DATABASE: Final = "argilla.db"
UNFINISHED: Final = "argilla.db.unfinished"
"""Stands beside the database until its first start is through: what it stands beside holds no work of anybody."""
