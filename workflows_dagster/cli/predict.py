"""`predict`: scores texts, lines of standard input, or a file with the model of a release."""

import itertools
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import console, messages, note, quieten
from workflows_dagster.lib.errors import ConfigurationError, SourceUnreadableError

if TYPE_CHECKING:
    from workflows_dagster.lib.release.prediction import ReleasedModel
    from workflows_dagster.lib.release.row_files import Columns, Write
    from workflows_dagster.lib.release.scored_files import ReviewFile, Tally

SHOWN_CHARACTERS: Final = 60
SHOWN_REJECTS: Final = 5
LINES_AT_ONCE: Final = 1_000


def predict(
    texts: Annotated[list[str] | None, typer.Argument(help="Reviews. Default: the lines of standard input.")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            help="File to score, read as a source is: csv, tsv, jsonl, parquet and others, also compressed.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .csv, .tsv, .jsonl or .parquet. Default: standard output."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="File for the rows of --input that could not be scored, with reasons.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column of --input with the review.")] = "text",
    title_column: Annotated[
        str | None, typer.Option(help="Column of --input with a headline, put before the review.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN[=NAME]", help="Column of --input to carry over, under another name if given."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of --input. Default: utf-8.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates the fields of --input, a csv file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    tag: Annotated[str | None, typer.Option("--release", help="Tag of a release. Default: the deployed one.")] = None,
) -> None:
    """Score reviews with the model of the deployed release.

    On a terminal it prints a table, else tab-separated values or, with --json, one object a line.
    """
    from workflows_dagster.lib.release.row_files import require_writable

    reading = {"encoding": encoding, "delimiter": delimiter}
    options = {name: value for name, value in reading.items() if value is not None}
    _refuse_what_does_not_go_together(
        texts, file, {"--rejects": rejects, "--keep": keep, "--title-column": title_column, **options}
    )
    for path in (output, rejects):
        if path is not None:
            require_writable(path)
    quieten()
    if file is None:
        _score_texts(_checked(texts) if texts else _lines(), output, as_json, tag)
        return
    from workflows_dagster.lib.release.scored_files import review_file

    kept = {name or column: column for column, _, name in (each.partition("=") for each in keep or [])}
    with _told_by_options():
        chosen = review_file(file, text_column, title_column, kept, **options)
        _score_file(chosen, output, rejects, as_json, tag)


def _score_texts(texts: Iterator[str], output: Path | None, as_json: bool, tag: str | None) -> None:
    from workflows_dagster.lib.release.prediction import output_columns

    chunks = _chunks(texts)
    # Read before the model is loaded: what must be refused is refused at once.
    first = next(chunks, None)
    if first is None:
        raise _nothing_to_score()
    model = _open_model(tag)
    truncated = 0
    with _results(output, output_columns(model.classifier.labels), as_json) as write:
        for chunk in itertools.chain([first], chunks):
            found = model.predict(chunk)
            write([one.to_row() for one in found])
            truncated += sum(one.truncated for one in found)
    _say_truncated(truncated, model)


def _score_file(file: "ReviewFile", output: Path | None, rejects: Path | None, as_json: bool, tag: str | None) -> None:
    from workflows_dagster.lib.release.prediction import output_columns
    from workflows_dagster.lib.release.row_files import writing
    from workflows_dagster.lib.release.scored_files import REJECT_COLUMNS, score_file

    model = _open_model(tag)
    columns = output_columns(model.classifier.labels, list(file.kept))
    shown: list[Mapping[str, Any]] = []
    with ExitStack() as stack:
        write = stack.enter_context(_results(output, columns, as_json))
        aside = stack.enter_context(writing(rejects, REJECT_COLUMNS)) if rejects else None
        advance = stack.enter_context(_bar(file.name))

        def reject(rows: Sequence[Mapping[str, Any]]) -> None:
            shown.extend(rows[: SHOWN_REJECTS - len(shown)])
            if aside is not None:
                aside(rows)

        tally = score_file(file, model.predict, write, reject, advance)
    _say_what_became_of(file, tally, shown, rejects)
    _say_truncated(tally.rows_truncated, model)


def _open_model(tag: str | None) -> "ReleasedModel":
    """The model of a release, loaded; says which one it is, and what data it has learnt from."""
    from workflows_dagster.lib.release.deployment import deployed
    from workflows_dagster.lib.release.prediction import ReleasedModel
    from workflows_dagster.lib.release.releases import release
    from workflows_dagster.lib.sample.bundled import bundled_sources

    settings = open_settings()
    store = open_store(settings)
    model = ReleasedModel.open(store, release(store, tag) if tag else deployed(store), settings.threads)
    record, pick = model.release.record, model.release.pick
    rows = record.rows_by("source")
    sources = ", ".join(rows)
    quality = record.metrics.get("pick macro-F1")
    messages.print(
        escape(
            f"{pick.technique} of {model.release.tag}, {pick.size_bytes / 1e6:,.0f} MB, "
            f"macro-F1 {quality or 'unknown'}; learnt from {record.rows_total:,} reviews of {sources}"
        ),
        highlight=False,
        style="dim",
    )
    if made_up := sorted(bundled_sources() & rows.keys()):
        of = "the bundled sample" if len(made_up) == len(rows) else f"partly the bundled sample ({', '.join(made_up)})"
        note(f"the data are {of}, made-up reviews: on real ones the model may do worse. Train it on your own: `run`.")
    return model


@contextmanager
def _results(output: Path | None, columns: "Columns", as_json: bool) -> "Generator[Write]":
    """Takes scored rows: into a file, as a table on a terminal, else onto standard output."""
    from workflows_dagster.lib.release.row_files import to_jsonl, to_tsv, writing

    if output is not None:
        with writing(output, columns) as write:
            yield write
    elif as_json:
        yield to_jsonl(sys.stdout)
    elif console.is_terminal:
        yield _print_table
    else:
        yield to_tsv(sys.stdout, columns)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    labels = list(rows[0]["probabilities"])
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("label")
    for label in labels:
        table.add_column(label, justify="right")
    table.add_column("text")
    for row in rows:
        text = " ".join(row["text"].split())
        shortened = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
        table.add_row(row["label"], *(f"{row['probabilities'][label]:.3f}" for label in labels), escape(shortened))
    console.print(table)


def _refuse_what_does_not_go_together(
    texts: list[str] | None, file: str | None, only_with_file: Mapping[str, object]
) -> None:
    if texts and file is not None:
        raise ConfigurationError(
            "texts and a file were named",
            given=f"{len(texts)} texts and --input {file}",
            expected="one of both",
            remedy="score them one after the other",
        )
    named = [name for name, value in only_with_file.items() if value]
    if file is None and named:
        raise ConfigurationError(
            "these options are for a file",
            given=named,
            expected="--input FILE",
            remedy="name the file, or leave them out",
        )


def _checked(texts: Iterable[str], what: str = "argument") -> Iterator[str]:
    """The texts; refuses one that is empty, or that no encoding can store."""
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise ConfigurationError(
                f"{what} {number} holds no text",
                given=text,
                expected="a review",
                remedy="leave it out: no model can tell what nobody has said",
            )
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ConfigurationError(
                    f"{what} {number} holds bytes that are no UTF-8",
                    given=text.encode("utf-8", "replace").decode(),
                    expected="text in UTF-8",
                    remedy="convert it first, as with `iconv -t utf-8`",
                ) from error
        yield text


def _lines() -> Iterator[str]:
    """The lines of standard input, as they come."""
    if sys.stdin.isatty():
        raise _nothing_to_score()
    # Bytes that are no UTF-8 pass as lone surrogates, and are refused with the number of their line.
    lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
    return _checked((line.rstrip("\r\n").removeprefix("\ufeff") for line in lines), "line")


def _nothing_to_score() -> ConfigurationError:
    return ConfigurationError(
        "there is no review to score",
        given="no argument, no --input and nothing on standard input",
        expected="texts as arguments, one a line on standard input, or a file",
        remedy='try `workflows-dagster predict "The kettle broke after a week."`',
    )


def _chunks(texts: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(itertools.islice(texts, LINES_AT_ONCE)):
        yield chunk


@contextmanager
def _told_by_options() -> Generator[None]:
    """Says of a file that cannot be read which options, rather than which entries of sources.yaml, name its columns."""
    try:
        yield
    except SourceUnreadableError as error:
        raise SourceUnreadableError(
            error.problem.replace(" of source input", "").replace(" in source input", ""),
            given=error.given,
            expected=error.expected,
            remedy="check the path and the file; --text-column, --title-column, --keep, --encoding and --delimiter say "
            "how it is read",
        ) from error


@contextmanager
def _bar(name: str) -> Generator[Callable[[int], object]]:
    """A count of the rows that are done, on a terminal."""
    if not messages.is_terminal:
        yield lambda _: None
        return
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), console=messages, transient=True
    ) as progress:
        task = progress.add_task(escape(name), total=None)
        yield lambda rows: progress.advance(task, rows)


def _say_what_became_of(
    file: "ReviewFile", tally: "Tally", shown: Sequence[Mapping[str, Any]], rejects: Path | None
) -> None:
    labels = ", ".join(f"{label} {rows:,}" for label, rows in sorted(tally.labels.items()))
    rejected = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(tally.rejected.items()))
    total = tally.rejected.total()
    messages.print(
        escape(
            f"{file.name}: {tally.rows_in:,} rows in, {tally.rows_scored:,} scored{f' ({labels})' if labels else ''}, "
            f"{total:,} rejected{f' ({rejected})' if rejected else ''}"
        ),
        highlight=False,
    )
    for row in shown:
        where = f"row {row['row']}" + (f", line {row['line']}" if row["line"] else "")
        messages.print(escape(f"  {where}: {row['reason']}: {row['detail']}"), highlight=False)
    if total > len(shown):
        where = f"all are in {rejects}" if rejects else "--rejects FILE keeps them all"
        messages.print(escape(f"  and {total - len(shown):,} more; {where}"), highlight=False)


def _say_truncated(texts: int, model: "ReleasedModel") -> None:
    if texts:
        limit = model.record.model.max_length
        of = "1 text is" if texts == 1 else f"{texts:,} texts are"
        note(f"{of} longer than {limit} tokens, the longest input of the model: it saw the beginning only (truncated).")
