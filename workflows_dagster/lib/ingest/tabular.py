"""Formats whose rows are cells in order, and whose columns a header names."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Self

from pydantic import Field, model_validator

from workflows_dagster.lib.ingest.source import Source


class TabularSource(Source):
    """A source whose rows are cells in order; the first row names the columns, or the source does."""

    header: bool = Field(default=True, description="Whether the first row names the columns.")
    names: tuple[str, ...] | None = Field(default=None, description="The column names, where there is no header.")
    skip_lines: int = Field(
        default=0, ge=0, description="Lines before the header, such as a title, that are passed over in each file."
    )

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        if self.header == (self.names is not None):
            raise ValueError("set either header: true, or header: false and names: the columns in order")
        missing = [name for name in self.columns.names() if self.names is not None and name not in self.names]
        if missing:
            raise ValueError(f"columns names {missing}, which are not in names {list(self.names or ())}")
        return self

    def picker(self, names: Sequence[str], file: str) -> Callable[[Sequence[str | None]], Sequence[str | None]]:
        """A function that takes the mapped columns out of the cells of a row.

        Raises:
            SourceUnreadableError: The file lacks a column, or has it more than once.
        """
        self.require_columns(names, file)
        indexes = [names.index(name) for name in self.columns.names()]
        if len(indexes) == 1:
            only = indexes[0]
            return lambda cells: (cells[only],)
        return itemgetter(*indexes)
