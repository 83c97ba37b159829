# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUntypedClassDecorator=false
# ruff: noqa: D102 - the base class of argilla-server names what each method answers
"""A search engine of Argilla that holds nothing: it answers from the SQL database that the server has written to.

Every handler of argilla-server 2.8 commits to SQL before it tells the search engine, so nothing has to be indexed.
Searches scan the rows of one dataset: right for thousands of records, slow for hundreds of thousands.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy
from argilla_server.database import AsyncSessionLocal
from argilla_server.enums import MetadataPropertyType, SimilarityOrder
from argilla_server.models import Dataset, MetadataProperty, Record, Response, Suggestion, User, Vector, VectorSettings
from argilla_server.models.database import Field
from argilla_server.search_engine import (
    Filter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataMetrics,
    Order,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    TermsMetrics,
    TextQuery,
)
from similarity import most_similar
from sql_conditions import Layout, condition, ordering
from sqlalchemy import ColumnElement, Text, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from text_query import parse, record_matches

NAME = "sql"


def register_sql_functions(connection: Any, _record: object = None) -> None:
    """Gives a new connection what the queries below call; a listener of SQLAlchemy's `connect`."""
    connection.create_function("record_matches", 3, record_matches, deterministic=True)
    connection.create_function("shuffle_key", 2, shuffle_key, deterministic=True)


def shuffle_key(record_id: str, user_id: str) -> bytes:
    """Sorts records at random, for each user differently and always the same, as the original engine does."""
    return hashlib.blake2b(f"{record_id} {user_id}".encode(), digest_size=8).digest()


@SearchEngine.register(NAME)
class SqlSearchEngine(SearchEngine):
    """Answers searches, progress and metrics from SQL; what would write an index does nothing."""

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
