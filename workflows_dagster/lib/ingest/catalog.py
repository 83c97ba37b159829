"""The catalog: what sources.yaml says of each source, checked before anything is read."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workflows_dagster.lib.ingest.options import Options

Label = Literal["negative", "neutral", "positive"]
Compression = Literal["infer", "none", "gzip", "zstd"]


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _text_keys(value: object) -> object:
    # YAML reads an unquoted 0 as a number, while every format's cells are compared as text.
    return {str(key): label for key, label in value.items()} if isinstance(value, dict) else value


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(_Frozen):
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
        description="Columns whose values together name what must not straddle splits. "
        "Unset: the product, else the author, else the review itself.",
    )

    def names(self) -> list[str]:
        """Names of all mapped columns, each once, in a fixed order."""
        single = [
            self.text,
            self.id,
            self.title,
            self.stars,
            self.label,
            self.language,
            self.product,
            self.author,
            self.created_at,
        ]
        return list(dict.fromkeys([name for name in single if name is not None] + list(self.group)))


class Thresholds(_Frozen):
    """Cuts of a numeric score: below the first is negative, above the second positive, else neutral."""

    negative_below: float = Field(description="Scores below it are negative.")
    positive_above: float = Field(description="Scores above it are positive.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.negative_below > self.positive_above:
            raise ValueError(f"negative_below {self.negative_below} is above positive_above {self.positive_above}")
        return self


class Source(_Frozen):
    """One source of reviews: where its files are and how they are to be read."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]{0,62}$", description="Slug that names the source everywhere.")
    location: str = Field(
        min_length=1,
        description="File, folder or glob, local or any fsspec URI. Relative: to the folder of sources.yaml. "
        "${NAME} is replaced by that environment variable.",
    )
    storage_options: Options = Field(
        default_factory=Options,
        description="Options of the file system. Secrets only as {env: NAME}, never as values.",
    )
    format: Literal["csv", "tsv", "jsonl", "parquet"] = Field(description="Format of the files.")
    compression: Compression = Field(
        default="infer", description="infer: by the first bytes; a name in .gz or .zst must then be what it says."
    )
    encoding: str = Field(default="utf-8", description="Encoding of text formats; a byte order mark is dropped.")
    undecodable: Literal["reject", "replace"] = Field(
        default="reject", description="Rows with bytes that are not of the encoding: rejected, or kept with U+FFFD."
    )
    header: bool = Field(default=True, description="csv, tsv: whether the first record names the columns.")
    names: tuple[str, ...] | None = Field(default=None, description="csv, tsv without header: the column names.")
    delimiter: str | None = Field(
        default=None, pattern=r'^[^"\r\n]$', description="csv, tsv: between fields. Unset: comma, tab."
    )
    quoting: Literal["standard", "none"] | None = Field(
        default=None,
        description="standard: RFC 4180, fields in double quotes may hold anything. none: quotes are ordinary "
        "characters. Unset: standard for csv, none for tsv.",
    )
    escape: str | None = Field(
        default=None,
        pattern=r'^[^"\r\n]$',
        description="csv: character before a quote that is part of a field. Unset: the quote is doubled.",
    )
    columns: Columns = Field(description="Which column holds what.")
    labels: Annotated[dict[str, Label], BeforeValidator(_text_keys)] = Field(
        default_factory=dict[str, Label], description="Label of each raw value. Unset: the labels' own names."
    )
    label_thresholds: Thresholds | None = Field(default=None, description="Instead of labels, for numeric scores.")
    language: str | None = Field(
        default=None, pattern=r"^[a-z]{2,3}$", description="ISO 639 code of all rows. Unset: identified while cleaning."
    )
    created_at_format: str = Field(
        default="iso", min_length=1, description="iso, unix_s, unix_ms, or a strptime pattern; taken as UTC."
    )
    group_namespace: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_]{0,62}$",
        description="Sources that name the same one share their groups: same products, or translations of one text. "
        "Unset: the source's name.",
    )
    id_scope: Literal["source", "file"] = Field(
        default="source", description="Within what the source's own ids are unique: file where they start anew in each."
    )

    @property
    def separator(self) -> str:
        """What stands between two fields."""
        return self.delimiter or ("\t" if self.format == "tsv" else ",")

    @property
    def quoted(self) -> bool:
        """Whether double quotes enclose fields."""
        return (self.quoting or ("none" if self.format == "tsv" else "standard")) == "standard"

    @property
    def namespace(self) -> str:
        """What the source's group keys begin with."""
        return self.group_namespace or self.name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.labels and self.label_thresholds:
            raise ValueError("labels and label_thresholds are both set: keep one")
        if (self.labels or self.label_thresholds) and self.columns.label is None:
            raise ValueError("labels are mapped, but columns.label names no column")
        if self.language and self.columns.language:
            raise ValueError("language and columns.language are both set: keep one")
        if self.format in ("csv", "tsv"):
            _check_names(self)
        _check_encoding(self.encoding)
        return self


def _check_names(source: Source) -> None:
    if source.header == (source.names is not None):
        raise ValueError("set either header: true, or header: false and names: the columns in order")
    missing = [name for name in source.columns.names() if name not in (source.names or source.columns.names())]
    if missing:
        raise ValueError(f"columns names {missing}, which are not in names {list(source.names or ())}")


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ValueError(f"no codec is called {encoding!r}: expected a name such as utf-8, cp1252, utf-16") from error


class Batching(_Frozen):
    """How files are grouped into batches."""

    max_files: int = Field(default=500, ge=1, description="Most files in one batch.")
    max_bytes: int = Field(
        default=256 * 1024**2, ge=1, description="Most bytes in one batch; a larger file is a batch of its own."
    )
    settle_s: float = Field(
        default=30.0, ge=0, description="Seconds that a file must be left alone before the sensor takes it."
    )
    max_runs_per_tick: int = Field(default=100, ge=1, description="Most runs that one tick of the sensor requests.")


class Catalog(_Frozen):
    """All sources, and how their files are batched."""

    sources: tuple[Source, ...] = Field(min_length=1, description="The sources.")
    batching: Batching = Field(default_factory=Batching, description="How files are grouped into batches.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several sources are called {', '.join(twice)}: expected distinct names")
        return self

    def source(self, name: str) -> Source:
        """The source of that name.

        Raises:
            LookupError: The catalog holds no such source.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise LookupError(name)
