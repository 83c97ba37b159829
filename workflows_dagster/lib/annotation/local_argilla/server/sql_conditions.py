# pyright: reportMissingImports=false
# ruff: noqa: TRY004 - the server answers 422 with the message of a ValueError, and 500 to a TypeError
"""Filters and orders of record searches as SQL expressions over the server's own tables (SQLite)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from argilla_server.enums import MetadataPropertyType, QuestionType, RecordStatus, ResponseStatus
from argilla_server.models import MetadataProperty, Question, Record, Response, Suggestion
from argilla_server.search_engine import (
    AndFilter,
    Filter,
    MetadataFilterScope,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
)
from sqlalchemy import ColumnElement, Text, and_, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

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
        """One question; the handlers have checked that it exists, but it may be gone by now."""
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


def condition(asked: Filter, layout: Layout) -> ColumnElement[bool]:
    """What a record must fulfil to pass a filter.

    Raises:
        ValueError: The filter asks for what this engine does not answer; the server replies 422 with the message.
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
    """What records are sorted by; those without a value come last, in either direction.

    Raises:
        ValueError: Records cannot be sorted by that; the server replies 422 with the message.
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
    mean = select(func.avg(each.c.value)).select_from(Response).join(each, onclause=_always())
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


def _always() -> ColumnElement[bool]:
    return and_(True)


def _path(*names: str) -> str:
    """A path into JSON; names hold neither quotes nor backslashes, which the server's schemas refuse."""
    return "$" + "".join(f'."{name}"' for name in names)
