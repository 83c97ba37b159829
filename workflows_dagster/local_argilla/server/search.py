# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUntypedClassDecorator=false
# ruff: noqa: D102, TRY004 - D102: the base class of argilla-server names what each method answers; TRY004: the server
# answers 422 with the message of a ValueError, and 500 to a TypeError
"""A search engine for Argilla without an index: it answers from the server's own SQL tables (SQLite).

Every handler of argilla-server 2.8 commits to SQL before it calls the search engine, so there is nothing to index.
Searches scan the rows of one dataset: fast enough for thousands of records, slow for hundreds of thousands.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from argilla_server.database import AsyncSessionLocal
from argilla_server.enums import MetadataPropertyType, QuestionType, RecordStatus, ResponseStatus, SimilarityOrder
from argilla_server.models import (
    Dataset,
    MetadataProperty,
    Question,
    Record,
    Response,
    Suggestion,
    User,
    Vector,
    VectorSettings,
)
from argilla_server.models.database import Field
from argilla_server.search_engine import (
    AndFilter,
    Filter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataFilterScope,
    MetadataMetrics,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    SuggestionFilterScope,
    TermsFilter,
    TermsMetrics,
    TextQuery,
)
from matching import most_similar, parse, record_matches
from sqlalchemy import ColumnElement, Text, and_, case, cast, func, or_, select, true, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

NAME = "sql"
Convert = Callable[[Any], Any]
_PENDING = "pending"


@dataclass(frozen=True)
class Layout:
    """The questions and metadata properties of one dataset, by name."""

    questions: dict[str, Question]
    properties: dict[str, MetadataProperty]

    @classmethod
    async def of(cls, db: AsyncSession, dataset_id: UUID) -> "Layout":
        """Reads them."""
        questions = await db.scalars(select(Question).where(Question.dataset_id == dataset_id))
        properties = await db.scalars(select(MetadataProperty).where(MetadataProperty.dataset_id == dataset_id))
        return cls({found.name: found for found in questions}, {found.name: found for found in properties})

    def question(self, name: str) -> Question:
        """One question; the handlers have checked that it exists, but it may have been deleted since."""
        if name not in self.questions:
            raise ValueError(f"no question {name!r} in the dataset. Expected: one of {sorted(self.questions)}.")
        return self.questions[name]

    def numeric_property(self, name: str) -> bool:
        """Whether a metadata property holds numbers."""
        if name not in self.properties:
            raise ValueError(
                f"no metadata property {name!r} in the dataset. Expected: one of {sorted(self.properties)}."
            )
        return self.properties[name].type != MetadataPropertyType.terms


def register_sql_functions(connection: Any, _record: object = None) -> None:
    """Registers the SQL functions that the queries below call; a listener of SQLAlchemy's `connect`."""
    connection.create_function("record_matches", 3, record_matches, deterministic=True)
    connection.create_function("shuffle_key", 2, shuffle_key, deterministic=True)


def shuffle_key(record_id: str, user_id: str) -> bytes:
    """Sorts records at random, for each user differently and always the same, as the original engine does."""
    return hashlib.blake2b(f"{record_id} {user_id}".encode(), digest_size=8).digest()


@SearchEngine.register(NAME)
class SqlSearchEngine(SearchEngine):
    """Answers searches, progress and metrics from SQL; the methods that write an index do nothing."""

    @classmethod
    async def new_instance(cls) -> "SqlSearchEngine":
        return cls()

    async def close(self) -> None: ...

    async def ping(self) -> bool:
        async with AsyncSessionLocal() as db:
            return await db.scalar(select(1)) == 1

    async def info(self) -> dict[str, str]:
        return {"name": NAME, "distribution": "SQLite", "version": sqlalchemy.__version__}

    async def create_index(self, dataset: Dataset) -> None: ...

    async def delete_index(self, dataset: Dataset) -> None: ...

    async def configure_metadata_property(self, dataset: Dataset, metadata_property: MetadataProperty) -> None: ...

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None: ...

    async def partial_record_update(self, record: Record, **update: Any) -> None: ...

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None: ...

    async def update_record_response(self, response: Response) -> None: ...

    async def delete_record_response(self, response: Response) -> None: ...

    async def update_record_suggestion(self, suggestion: Suggestion) -> None: ...

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None: ...

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        return await _counts(select(Record.status, func.count()).where(Record.dataset_id == dataset.id))

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        own = select(Response.status, func.count()).join(Record, Record.id == Response.record_id)
        return await _counts(own.where(Record.dataset_id == dataset.id, Response.user_id == user.id))

    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: UUID | str | None = None,
    ) -> SearchResponses:
        async with AsyncSessionLocal() as db:
            layout = await Layout.of(db, dataset.id) if filter or sort else Layout({}, {})
            where = await _where(db, dataset.id, query, filter, layout)
            order: list[ColumnElement[Any]] = [ordering(asked, layout) for asked in sort or []]
            if user_id:
                order.append(func.shuffle_key(type_coerce(Record.id, Text), str(user_id)))
            page = select(Record.id).where(*where).order_by(*order, Record.inserted_at, Record.id)
            total = await db.scalar(select(func.count(Record.id)).where(*where))
            found = await db.scalars(page.offset(offset).limit(limit))
            return SearchResponses(items=[SearchResponseItem(record_id=found_id) for found_id in found], total=total)

    async def similarity_search(
        self,
        dataset: Dataset,
        vector_settings: VectorSettings,
        value: list[float] | None = None,
        record: Record | None = None,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        if bool(value) == bool(record):
            raise ValueError("a similarity search needs either a vector or a record, not both and not neither")
        target = value or (record.vector_value_by_vector_settings(vector_settings) if record else None)
        if not target:
            raise ValueError(f"the record has no vector {vector_settings.name!r} to compare with")
        async with AsyncSessionLocal() as db:
            layout = await Layout.of(db, dataset.id) if filter else Layout({}, {})
            where = await _where(db, dataset.id, query, filter, layout)
            vectors = select(Vector.record_id, type_coerce(Vector.value, Text)).join(Record).where(*where)
            vectors = vectors.where(Vector.vector_settings_id == vector_settings.id)
            if record:
                vectors = vectors.where(Record.id != record.id)
            rows = [(row[0], row[1]) for row in await db.execute(vectors.order_by(Record.inserted_at, Record.id))]
        if order == SimilarityOrder.least_similar:
            target = [-number for number in target]
        # In a thread: a few thousand vectors take long enough for everybody else to notice.
        best = await asyncio.to_thread(most_similar, rows, target, limit=max_results, threshold=threshold)
        items = [SearchResponseItem(record_id=found_id, score=score) for found_id, score in best]
        return SearchResponses(items=items, total=len(items))

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        each = func.json_each(Record.metadata_, f'$."{metadata_property.name}"').table_valued("value")
        value = each.c.value
        rows = select(Record.id).select_from(Record).join(each, onclause=value.is_not(None))
        rows = rows.where(Record.dataset_id == metadata_property.dataset_id)
        async with AsyncSessionLocal() as db:
            if metadata_property.type != MetadataPropertyType.terms:
                least, most = (await db.execute(rows.with_only_columns(func.min(value), func.max(value)))).one()
                integer = metadata_property.type == MetadataPropertyType.integer
                return (IntegerMetadataMetrics if integer else FloatMetadataMetrics)(min=least, max=most)
            counts = rows.with_only_columns(value, func.count()).group_by(value).order_by(func.count().desc(), value)
            terms = [TermsMetrics.TermCount(term=str(term), count=count) for term, count in await db.execute(counts)]
            return TermsMetrics(total=sum(term.count for term in terms), values=terms)


async def _where(
    db: AsyncSession, dataset_id: UUID, query: TextQuery | str | None, filter: Filter | None, layout: Layout
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [Record.dataset_id == dataset_id]
    if filter:
        where.append(condition(filter, layout))
    if query:
        asked = TextQuery(q=query) if isinstance(query, str) else query
        parse(asked.q)  # refuses what it must here: inside SQL the message would be lost
        known = await db.scalars(select(Field).where(Field.dataset_id == dataset_id))
        names = [field.name for field in known if not field.is_image and asked.field in (None, field.name)]
        where.append(func.record_matches(type_coerce(Record.fields, Text), json.dumps(names), asked.q) == 1)
    return where


async def _counts(by_status: Any) -> dict[str, int]:
    status = by_status.selected_columns[0]
    async with AsyncSessionLocal() as db:
        counts = {str(found): int(count) for found, count in await db.execute(by_status.group_by(status))}
    return {"total": sum(counts.values()), **counts}


def condition(asked: Filter, layout: Layout) -> ColumnElement[bool]:
    """The condition that records must meet to pass a filter.

    Raises:
        ValueError: The engine does not support this filter; the server replies 422 with the message.
    """
    if isinstance(asked, AndFilter):
        return and_(True, *(condition(part, layout) for part in asked.filters))
    scope = asked.scope
    if isinstance(scope, RecordFilterScope):
        column, convert = _record_column(scope.property)
        return _compare(column, asked, convert)
    if isinstance(scope, MetadataFilterScope):
        numeric = layout.numeric_property(scope.metadata_property)
        return _any_value(Record.metadata_, _path(scope.metadata_property), asked, numeric=numeric)
    if isinstance(scope, SuggestionFilterScope):
        return Record.suggestions.any(_suggestion(scope, asked, layout))
    if isinstance(scope, ResponseFilterScope):
        return _response(scope, asked, layout)
    raise ValueError(f"the local Argilla cannot filter by {scope!r}")


def ordering(asked: Order, layout: Layout) -> ColumnElement[Any]:
    """The sort key of an order; records without a value come last, in either direction.

    Raises:
        ValueError: The engine does not support this order; the server replies 422 with the message.
    """
    scope = asked.scope
    descending = asked.order == "desc"
    if isinstance(scope, RecordFilterScope):
        value = _record_column(scope.property)[0]
    elif isinstance(scope, MetadataFilterScope):
        layout.numeric_property(scope.metadata_property)
        value = _extreme(Record.metadata_, _path(scope.metadata_property), descending=descending)
    elif isinstance(scope, SuggestionFilterScope):
        value = _suggestion_value(scope, layout, descending=descending)
    elif isinstance(scope, ResponseFilterScope):
        value = _mean_rating(scope, layout)
    else:
        raise ValueError(f"the local Argilla cannot sort by {scope!r}")
    return (value.desc() if descending else value.asc()).nulls_last()


def _record_column(name: str) -> tuple[ColumnElement[Any], Convert]:
    columns: dict[str, tuple[Any, Convert]] = {
        "id": (Record.id, UUID),
        "external_id": (Record.external_id, str),
        "status": (Record.status, RecordStatus),
        "inserted_at": (Record.inserted_at, _moment),
        "updated_at": (Record.updated_at, _moment),
    }
    if str(name) not in columns:
        raise ValueError(f"the local Argilla knows no record property {name!r}. Expected: one of {sorted(columns)}.")
    return columns[str(name)]


def _convert(term: Any, convert: Convert) -> Any:
    try:
        return convert(term)
    except ValueError as error:
        raise ValueError(f"the filter compares with {term!r}. Expected: a value of that kind ({error}).") from error


def _moment(value: Any) -> datetime:
    """A point in time as the database keeps it: UTC without a zone."""
    moment = datetime.fromisoformat(str(value))
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _compare(value: ColumnElement[Any], asked: TermsFilter | RangeFilter, convert: Convert) -> ColumnElement[bool]:
    if isinstance(asked, TermsFilter):
        return value.in_([_convert(term, convert) for term in asked.values])
    bounds: list[ColumnElement[bool]] = []
    if asked.ge is not None:
        bounds.append(value >= _convert(asked.ge, convert))
    if asked.le is not None:
        bounds.append(value <= _convert(asked.le, convert))
    return and_(True, *bounds)


def _any_value(document: Any, path: str, asked: TermsFilter | RangeFilter, *, numeric: bool) -> ColumnElement[bool]:
    """Whether a value, or one of a list of values, in a JSON column passes."""
    each = func.json_each(document, path).table_valued("value", "type")
    if numeric:
        return select(1).select_from(each).where(_compare(each.c.value, asked, float)).exists()
    if isinstance(asked, RangeFilter):
        raise ValueError(
            f"a range from {asked.ge!r} to {asked.le!r} was asked of values that are terms. Expected: numbers. "
            "Next: use a terms filter with the values."
        )
    # JSON's true and false reach SQL as 1 and 0.
    term = case((each.c.type.in_(["true", "false"]), each.c.type), else_=cast(each.c.value, Text))
    return select(1).select_from(each).where(_compare(term, asked, str)).exists()


def _suggestion(scope: SuggestionFilterScope, asked: TermsFilter | RangeFilter, layout: Layout) -> ColumnElement[bool]:
    question = layout.question(scope.question)
    if scope.property == "value":
        passes = _any_value(Suggestion.value, "$", asked, numeric=_numeric_answer(question))
    elif scope.property == "score":
        passes = _any_value(Suggestion.score, "$", asked, numeric=True)
    elif scope.property in ("agent", "type"):
        passes = _compare(cast(getattr(Suggestion, scope.property), Text), asked, str)
    else:
        raise _unknown_suggestion_property(scope)
    return and_(Suggestion.question_id == question.id, passes)


def _suggestion_value(scope: SuggestionFilterScope, layout: Layout, *, descending: bool) -> ColumnElement[Any]:
    question = layout.question(scope.question)
    if scope.property == "value":
        _numeric_answer(question)
        value = _extreme(Suggestion.value, "$", descending=descending)
    elif scope.property == "score":
        value = _extreme(Suggestion.score, "$", descending=descending)
    elif scope.property in ("agent", "type"):
        value = cast(getattr(Suggestion, scope.property), Text)
    else:
        raise _unknown_suggestion_property(scope)
    # At most one row: a record has one suggestion for each question.
    chosen = select(value).where(Suggestion.record_id == Record.id, Suggestion.question_id == question.id)
    return chosen.scalar_subquery()


def _unknown_suggestion_property(scope: SuggestionFilterScope) -> ValueError:
    return ValueError(
        f"the local Argilla knows no suggestion property {scope.property!r}. Expected: value, score, agent or type."
    )


def _response(scope: ResponseFilterScope, asked: TermsFilter | RangeFilter, layout: Layout) -> ColumnElement[bool]:
    whose = [Response.user_id == scope.user.id] if scope.user else []
    if scope.question:
        numeric = _numeric_answer(layout.question(scope.question))
        answers = _any_value(Response.values, _path(scope.question, "value"), asked, numeric=numeric)
        return Record.responses.any(and_(True, *whose, answers))
    if scope.property != "status" or not isinstance(asked, TermsFilter):
        raise ValueError(f"the local Argilla cannot filter responses by {asked!r}. Expected: terms of the status.")
    # Pending is the absence of a response, of this user where one is named.
    given = [ResponseStatus(status) for status in asked.values if status != _PENDING]
    wanted: list[ColumnElement[bool]] = []
    if _PENDING in asked.values:
        wanted.append(~Record.responses.any(and_(True, *whose)))
    if given:
        wanted.append(Record.responses.any(and_(Response.status.in_(given), *whose)))
    return or_(False, *wanted)


def _mean_rating(scope: ResponseFilterScope, layout: Layout) -> ColumnElement[Any]:
    question = layout.question(scope.question) if scope.question else None
    if question is None or question.type != QuestionType.rating:
        raise ValueError(
            f"records cannot be sorted by responses to {scope.question!r}. Expected: a rating question, by its mean."
        )
    each = func.json_each(Response.values, _path(question.name, "value")).table_valued("value")
    mean = select(func.avg(each.c.value)).select_from(Response).join(each, onclause=true())
    mean = mean.where(Response.record_id == Record.id)
    return (mean.where(Response.user_id == scope.user.id) if scope.user else mean).scalar_subquery()


def _numeric_answer(question: Question) -> bool:
    """Whether answers are numbers; Elasticsearch does not index texts, spans and rankings, so neither does this."""
    if question.type == QuestionType.rating:
        return True
    if question.type in (QuestionType.label_selection, QuestionType.multi_label_selection):
        return False
    raise ValueError(
        f"answers to the {question.type} question {question.name!r} are not searchable. "
        "Expected: a question of type rating, label_selection or multi_label_selection."
    )


def _extreme(document: Any, path: str, *, descending: bool) -> ColumnElement[Any]:
    """The value to sort by: the largest of a list when descending, else the smallest, as Elasticsearch does."""
    each = func.json_each(document, path).table_valued("value")
    pick = func.max if descending else func.min
    return select(pick(each.c.value)).select_from(each).scalar_subquery()


def _path(*names: str) -> str:
    """A path into JSON; names hold neither quotes nor backslashes, which the server's schemas refuse."""
    return "$" + "".join(f'."{name}"' for name in names)
