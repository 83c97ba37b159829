"""Files of reviews, read as any source is and scored by a released model in bounded memory."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from pydantic import ValidationError

from workflows_dagster.lib.errors import ConfigurationError, SourceUnreadableError
from workflows_dagster.lib.ingest.formats import FORMATS
from workflows_dagster.lib.ingest.locations import FileVersion, list_files, short_name
from workflows_dagster.lib.ingest.mapping import map_rows
from workflows_dagster.lib.ingest.raw_reviews import read_file
from workflows_dagster.lib.ingest.rows import Row
from workflows_dagster.lib.ingest.source import Columns, Source
from workflows_dagster.lib.release import row_files
from workflows_dagster.lib.release.prediction import Prediction

ROWS_AT_ONCE: Final = 1_000
REJECT_COLUMNS: Final[row_files.Columns] = {"row": int, "line": int, "reason": str, "detail": str, "excerpt": str}
_ARCHIVES: Final = (".gz", ".gzip", ".zst", ".zstd")


class ScoredColumns(Columns):
    """The columns of a file that is scored."""

    kept: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Names of all columns that are read."""
        return list(dict.fromkeys([*super().names(), *self.kept]))


@dataclass(frozen=True)
class ReviewFile:
    """A file of reviews to score.

    Attributes:
        source: How it is read.
        version: The file.
        kept: Column of the file by name in the output.
    """

    source: Source
    version: FileVersion
    kept: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its short name."""
        return short_name(self.source, self.version.uri)


@dataclass
class Tally:
    """What became of the rows of a file.

    Attributes:
        rows_in: Rows that the file holds.
        rows_scored: Rows that the model answered for.
        rows_truncated: Those of them that the model saw the beginning of only.
        labels: Scored rows by label.
        rejected: Rejected rows by reason.
    """

    rows_in: int = 0
    rows_scored: int = 0
    rows_truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])


def review_file(
    location: str, text: str, title: str | None = None, keep: Mapping[str, str] | None = None, **options: Any
) -> ReviewFile:
    """A file of reviews, in the format that its name ends with.

    Args:
        location: Path or fsspec URI of one file: csv, tsv, jsonl or Parquet, also compressed.
        text: Column of the review.
        title: Column of a headline that is put before it.
        keep: Columns that are carried over, by their name in the output.
        options: Options of the format, as in sources.yaml: `encoding`, `delimiter`.

    Raises:
        ConfigurationError: The name ends with none of the formats, or an option does not fit the format.
        SourceUnreadableError: There is no such file, or more than one.
    """
    kept = dict(keep or {})
    name = location.lower()
    for suffix in _ARCHIVES:
        name = name.removesuffix(suffix)
    kind = PurePosixPath(name).suffix.removeprefix(".")
    if kind not in FORMATS:
        raise ConfigurationError(
            "the format of the file to score is told by its name",
            given=location,
            expected=f"a name that ends with .{', .'.join(FORMATS)}; .gz or .zst may follow",
            remedy="rename it, or link to it under such a name",
        )
    columns = ScoredColumns(text=text, title=title, kept=tuple(kept.values()))
    try:
        source = FORMATS[kind].model_validate(
            {"name": "input", "location": location, "format": kind, "columns": columns, **options}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(
            f"{location} cannot be read with these options",
            given=options,
            expected=str(first["msg"]),
            remedy="leave the option out, or correct it",
        ) from error
    files = list_files(source)
    if len(files) != 1:
        raise SourceUnreadableError(
            f"{location} is not one file",
            given=[file.uri for file in files],
            expected="the path or URI of one file",
            remedy="score one file after the other",
        )
    return ReviewFile(source, files[0], kept)


def score_file(
    file: ReviewFile,
    predict: Callable[[list[str]], list[Prediction]],
    write: row_files.Write,
    reject: row_files.Write,
    advance: Callable[[int], object] = lambda _: None,
) -> Tally:
    """Scores every row of a file that can be read and is not empty, in its order; the others are rejected.

    Args:
        file: The file.
        predict: What scores it, such as that of a ReleasedModel.
        write: Takes the scored rows: `row`, the kept columns, then those of `Prediction.to_row`.
        reject: Takes the rejected rows, with the columns of REJECT_COLUMNS.
        advance: Called with a number of rows when they are done.

    Raises:
        SourceUnreadableError: The file is missing, has changed, is cut, is of another format or lacks a column.
    """
    tally = Tally()
    names = file.source.columns.names()
    places = {name: names.index(column) for name, column in file.kept.items()}
    rows = read_file(file.source, file.version)
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        mapped = map_rows(chunk, file.source, "", file.name)
        cells = {row.row: row.cells for row in chunk if isinstance(row, Row)}
        numbers: list[int] = mapped.reviews["row"].to_list()
        found = predict(mapped.reviews["text"].to_list())
        write(
            [
                {"row": number, **{name: cells[number][place] for name, place in places.items()}, **one.to_row()}
                for number, one in zip(numbers, found, strict=True)
            ]
        )
        reject(mapped.rejects.select(*REJECT_COLUMNS).rows(named=True))
        tally.rows_in += len(chunk)
        tally.rows_scored += len(found)
        tally.rows_truncated += sum(one.truncated for one in found)
        tally.labels.update(one.label for one in found)
        tally.rejected.update(mapped.rejects["reason"].to_list())
        advance(len(chunk))
    return tally
