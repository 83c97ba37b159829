"""Libraries of the extra `annotate`: loaded where they are needed, and named where they are missing."""

from importlib import import_module
from typing import Any

from workflows_dagster.lib.errors import MissingExtraError


def load(module: str, feature: str) -> Any:
    """An installed module.

    Args:
        module: Its import path.
        feature: What it is needed for, as a clause.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{feature} needs a library that is not installed",
            given=f"no module {error.name or module}",
            expected="the extra annotate of workflows-dagster",
            remedy="pip install 'workflows-dagster[annotate]', or uv sync --extra annotate in a checkout",
        ) from error
