"""A source of reviews as sources.yaml describes it, whatever the format of its files."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.ingest.credentials import Credentials
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.storage_options import Options
from workflows_dagster.lib.ingest.values import EPOCH_UNITS, require_pattern

_NAMES, _NAME_CHARS = 50, 40
"""What an error shows of a header: in a file that has none, it is a row of data."""

Label = Literal["negative", "neutral", "positive"]


class Described(BaseModel):
    """A part of sources.yaml: closed and frozen. A field that is left blank is an unset one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        unknown = [str(name) for name in given if name not in cls.model_fields]
        if unknown:
            of = f" with format {given['format']}" if "format" in cls.model_fields else ""
            near = get_close_matches(unknown[0], cls.model_fields, n=1)
            meant = f"{near[0]}, which is most like {unknown[0]}; " if near else ""
            expected = f"{meant}only these fields{of}: {', '.join(cls.model_fields)}"
            raise PydanticCustomError(
                "unknown_field", "{expected}", {"given": ", ".join(unknown), "expected": expected}
            )
        return {name: value for name, value in given.items() if value is not None}


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _text_keys(value: object) -> object:
    # Every format's cells are compared as text; JSON writes true where Python and its csv files write True.
    if not isinstance(value, dict):
        return value
    keys = {str(key).lower() if isinstance(key, bool) else str(key): label for key, label in value.items()}
    return {word: label for key, label in keys.items() for word in _spellings(key) if word == key or word not in keys}


def _spellings(key: str) -> tuple[str, ...]:
    return (key, key.capitalize(), key.upper()) if key in ("true", "false") else (key,)


class Columns(Described):
    """Which column of the source holds what; the empty name is the column without a name."""

    text: str = Field(description="The review.")
    id: str | None = Field(default=None, description="The source's own id of the review.")
    title: str | None = Field(default=None, description="Headline; put before the text, on a line of its own.")
    stars: str | None = Field(default=None, description="Rating from 1 to 5.")
    label: str | None = Field(default=None, description="Sentiment as the source gives it; see labels.")
    language: str | None = Field(default=None, description="ISO 639 code or locale of the review.")
    product: str | None = Field(default=None, description="Product that is reviewed.")
    author: str | None = Field(default=None, description="Who wrote it. Personal data: only a digest is kept.")
    created_at: str | None = Field(default=None, description="When it was written; see created_at_format.")
    group: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = Field(
        default=(),
        description="Columns whose values together name a group; a group is never spread over splits. "
        "Unset: the product, else the author, else the review itself.",
    )

    def names(self) -> list[str]:
        """Names of all mapped columns, each once, in a fixed order."""
        single = [name for _, name in self if isinstance(name, str)]
        return list(dict.fromkeys([*single, *self.group]))


class Thresholds(Described):
    """Cuts of a numeric score: below the first is negative, above the second positive, else neutral."""

    negative_below: float = Field(allow_inf_nan=False, description="Scores below it are negative.")
    positive_above: float = Field(allow_inf_nan=False, description="Scores above it are positive.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.negative_below > self.positive_above:
            raise ValueError(f"negative_below {self.negative_below} is above positive_above {self.positive_above}")
        return self


class Source(Described):
    """One source of reviews: where its files are and what their columns mean.

    A subclass adds one format: the field `format`, a Literal, its options, and how a file is read.

    Attributes:
        SEEKS: Whether the reader needs a file that it can seek in; a compressed one is then unpacked to disk first.
        IS_ZIP: Whether the format itself is a zip archive.
    """

    SEEKS: ClassVar[bool] = False
    IS_ZIP: ClassVar[bool] = False

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_]{0,62}$",
        description="Names the source everywhere: lower-case letters, digits and underscores, at most 63.",
    )
    location: str = Field(
        min_length=1,
        repr=False,
        description="File, folder or glob, local or any fsspec URI. Relative: to the folder of sources.yaml. "
        "${NAME} is replaced by that environment variable.",
    )
    storage_options: Options = Field(
        default_factory=Options,
        description="Options of the file system. Secrets only as {env: NAME}, never as values.",
    )
    compression: Literal["infer", "none", "gzip", "zstd", "bz2", "xz", "zip"] = Field(
        default="infer",
        description="infer: told by the first bytes; a file called .gz, .zst, .bz2, .xz or .zip must then be what its "
        "name says. Of a zip archive each member is read.",
    )
    max_expansion: int = Field(
        default=100,
        ge=1,
        description="Most times its size that a file may grow when it is unpacked; up to 64 MiB it always may.",
    )
    columns: Columns = Field(description="Which column holds what.")
    labels: Annotated[dict[str, Label], BeforeValidator(_text_keys)] = Field(
        default_factory=dict[str, Label], description="Label of each raw value. Unset: the labels' own names."
    )
    label_thresholds: Thresholds | None = Field(default=None, description="Instead of labels, for numeric scores.")
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="ISO 639 code of all rows, two or three lower-case letters. Unset: identified while cleaning.",
    )
    created_at_format: str = Field(
        default="iso", min_length=1, description="iso, unix_s, unix_ms, or a strptime pattern; taken as UTC."
    )
    text_prefix: str = Field(
        default="", description="What a scraper left before each text, such as Review:; removed where it is there."
    )
    text_suffix: str = Field(
        default="", description="What a scraper left after each text, such as READ MORE; removed where it is there."
    )
    group_namespace: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_]{0,62}$",
        description="Sources that name the same one share their groups: same products, or translations of one text. "
        "Unset: the source's name.",
    )
    id_scope: Literal["source", "file"] = Field(
        default="source",
        description="Where the source's own ids are unique: in the whole source, or only in each file.",
    )

    @field_validator("created_at_format")
    @classmethod
    def _reads_dates(cls, written: str) -> str:
        if written != "iso" and written not in EPOCH_UNITS:
            require_pattern(written)
        return written

    _credentials: Credentials = PrivateAttr(default_factory=Credentials)

    @property
    def credentials(self) -> Credentials:
        """What of the location and its options must not be shown."""
        return self._credentials

    def with_credentials(self, credentials: Credentials) -> Self:
        """The same source, its secrets known."""
        self._credentials = credentials
        return self

    @property
    def namespace(self) -> str:
        """What the source's group keys begin with."""
        return self.group_namespace or self.name

    @property
    def configuration(self) -> str:
        """Digest of how the source is described; of storage_options the names alone."""
        described = self.model_dump(mode="json", exclude={"storage_options"})
        return digest_record({**described, "storage_options": repr(self.storage_options)})[:12]

    @abstractmethod
    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        """The rows of one file, in order; every row of the file is among them.

        Args:
            content: The decompressed bytes.
            file: Short name of the file, for errors.

        Raises:
            SourceUnreadableError: The file as a whole cannot be read in this format, or lacks a column.
        """

    def require_columns(self, names: Sequence[str], file: str) -> None:
        """Checks that a file has each mapped column once.

        Args:
            names: Names of the file's columns.
            file: Short name of the file.

        Raises:
            SourceUnreadableError: A column is missing, or is there more than once.
        """
        wanted = self.columns.names()
        absent = [name for name in wanted if names.count(name) != 1]
        if absent:
            raise SourceUnreadableError(
                f"{file} of source {self.name} lacks columns, or holds them more than once: {absent}",
                given=[name[:_NAME_CHARS] for name in names[:_NAMES]],
                expected=f"each of {wanted} once",
                remedy="correct columns of the source in sources.yaml, or the options of its format",
            )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.labels and self.label_thresholds:
            raise ValueError("labels and label_thresholds are both set: keep one")
        if (self.labels or self.label_thresholds) and self.columns.label is None:
            raise ValueError("labels are mapped, but columns.label names no column")
        if self.language and self.columns.language:
            raise ValueError("language and columns.language are both set: keep one")
        return self
