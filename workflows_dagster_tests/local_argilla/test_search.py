"""The SQL search engine, asked through the real server; expectations worked out by hand from eight records."""

import json

import pytest

from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.argilla_server_fixture import Api, ApiError, api
from workflows_dagster_tests.local_argilla.pilot import (
    Item,
    Pilot,
    between,
    make_pilot,
    sorted_by,
    terms,
    where,
)

pytestmark = pytest.mark.slow

TEXTS = [
    "The kettle leaks",
    "Lovely kettle, quick delivery",
    "Ärgerlich: the shirt shrank",
    "Delivery took three weeks",
    "100% cotton shirt (soft)",
    "fine",
    "Kettle is fine",
    "no comment",
]
SOURCES = ["shop", "shop", "posts", "posts", "shop", "mail", ["mail", "posts"], None]
STARS = [1, 5, 2, 2, 4, 3, 3, None]
DOUBTS = [0.9, 0.1, 0.5, 0.45, 0.2, None, 0.8, 0.05]
LABELS = ["negative", "positive", "negative", "negative", "positive", "neutral", "neutral", None]
SCORES = [0.9, 0.8, 0.6, 0.7, 0.95, 0.4, 0.5, None]
AGENTS = ["a", "b", "a", "b", "a", "b", "a", None]
VECTORS = [[1, 0], [0, 1], [1, 1], [-1, 0], [0.6, 0.8], [0, 0], None, [0, -2]]


@pytest.fixture(scope="module")
def owner(argilla_server: LocalArgilla) -> Api:
    return api(argilla_server, "owner")


@pytest.fixture(scope="module")
def first(argilla_server: LocalArgilla) -> Api:
    return api(argilla_server, "annotator_1")


@pytest.fixture(scope="module")
def pilot(argilla_server: LocalArgilla, owner: Api, first: Api) -> Pilot:
    """Eight records r0 to r7; annotator_1 has answered r0, r1 and r2, annotator_2 r0 and r3."""
    made = make_pilot(owner, "search")
    items: list[Item] = []
    for number, text in enumerate(TEXTS):
        metadata = {"source": SOURCES[number], "stars": STARS[number], "doubt": DOUBTS[number]}
        item = made.item(f"r{number}", text, metadata={name: value for name, value in metadata.items() if value})
        if LABELS[number]:
            item["suggestions"] = made.item(
                "", "", suggestions={"label": (LABELS[number], SCORES[number], AGENTS[number])}
            )["suggestions"]
        if VECTORS[number]:
            item["vectors"] = {"meaning": VECTORS[number]}
        items.append(item)
    topics = {"topics": (["negative", "positive"], [0.3, 0.7], "a"), "stars": (4, 0.5, "a")}
    items[0]["suggestions"] += made.item("", "", suggestions=topics)["suggestions"]
    ids = made.push(owner, items)
    first.answer(ids[0], {"label": "negative", "stars": 1})
    first.answer(ids[1], {"label": "positive", "stars": 5}, "draft")
    first.answer(ids[2], None, "discarded")
    second = api(argilla_server, "annotator_2")
    second.answer(ids[0], {"label": "neutral", "stars": 4})
    second.answer(ids[3], {"label": "negative", "stars": 2})
    return made


FILTERS: list[tuple[str, Item, list[int]]] = [
    ("one term", terms("metadata", "shop", metadata_property="source"), [0, 1, 4]),
    ("a term in a list", terms("metadata", "mail", metadata_property="source"), [5, 6]),
    ("several terms", terms("metadata", "mail", "posts", metadata_property="source"), [2, 3, 5, 6]),
    ("an integer as text", terms("metadata", "2", metadata_property="stars"), [2, 3]),
    ("integers from", between("metadata", 4, None, metadata_property="stars"), [1, 4]),
    ("floats between", between("metadata", 0.2, 0.5, metadata_property="doubt"), [2, 3, 4]),
    ("suggested label", terms("suggestion", "neutral", question="label", property="value"), [5, 6]),
    ("suggested list", terms("suggestion", "positive", question="topics", property="value"), [0]),
    ("suggested rating", between("suggestion", 4, 5, question="stars", property="value"), [0]),
    ("score", between("suggestion", 0.8, None, question="label", property="score"), [0, 1, 4]),
    ("score in a list", between("suggestion", None, 0.3, question="topics", property="score"), [0]),
    ("agent", terms("suggestion", "b", question="label", property="agent"), [1, 3, 5]),
    ("type", terms("suggestion", "model", question="label", property="type"), [0, 1, 2, 3, 4, 5, 6]),
    ("external id", terms("record", "r3", "r5", property="external_id"), [3, 5]),
    ("state", terms("record", "completed", property="status"), [0]),
    ("recently inserted", between("record", "2024-01-01", None, property="inserted_at"), [0, 1, 2, 3, 4, 5, 6, 7]),
    ("inserted long ago", between("record", None, "2024-01-01T00:00:00Z", property="inserted_at"), []),
    ("own pending", terms("response", "pending", property="status"), [3, 4, 5, 6, 7]),
    ("own submitted", terms("response", "submitted", property="status"), [0]),
    ("own draft or pending", terms("response", "draft", "pending", property="status"), [1, 3, 4, 5, 6, 7]),
    ("own discarded", terms("response", "discarded", property="status"), [2]),
    ("own answer", terms("response", "positive", question="label"), [1]),
    ("another's answer is not mine", terms("response", "neutral", question="label"), []),
    ("own rating", between("response", 1, 4, question="stars"), [0]),
]


@pytest.mark.parametrize(("asked", "expected"), [row[1:] for row in FILTERS], ids=[row[0] for row in FILTERS])
def test_a_filter_finds_exactly_what_fits(pilot: Pilot, first: Api, asked: Item, expected: list[int]) -> None:
    total, found = pilot.search(first, where(asked))

    assert (total, sorted(found)) == (len(expected), [f"r{number}" for number in expected])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (terms("response", "pending", property="status"), [4, 5, 6, 7]),
        (terms("response", "submitted", property="status"), [0, 3]),
        (terms("response", "neutral", question="label"), [0]),
    ],
)
def test_the_owner_asks_about_everybodys_responses(pilot: Pilot, owner: Api, asked: Item, expected: list[int]) -> None:
    _, found = pilot.search(owner, where(asked), everybody=True)

    assert found == [f"r{number}" for number in expected]


def test_filters_must_all_be_passed(pilot: Pilot, first: Api) -> None:
    pending = terms("response", "pending", property="status")

    assert pilot.search(first, where(pending, terms("metadata", "shop", metadata_property="source"))) == (1, ["r4"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kettle", [0, 1, 6]),
        ("KETTLE fine", [6]),
        ("ärgerlich", [2]),
        ('"quick delivery"', [1]),
        ("delivery -kettle", [3]),
        ("100%", [4]),
        ('"(soft)"', [4]),
        ("omment", [7]),
        ("omment*", []),
        ("comm*", [7]),
    ],
)
def test_a_text_query_finds_words_phrases_and_exclusions(
    pilot: Pilot, owner: Api, query: str, expected: list[int]
) -> None:
    body = {"query": {"text": {"q": query, "field": "text"}}}

    assert pilot.search(owner, body, everybody=True)[1] == [f"r{number}" for number in expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (sorted_by("metadata", "desc", metadata_property="doubt"), "0 6 2 3 4 1 7 5"),
        (sorted_by("metadata", "asc", metadata_property="stars"), "0 2 3 5 6 4 1 7"),
        (sorted_by("suggestion", "asc", question="label", property="score"), "5 6 2 3 1 0 4 7"),
        (sorted_by("suggestion", "desc", question="label", property="agent"), "1 3 5 0 2 4 6 7"),
        (sorted_by("record", "desc", property="external_id"), "7 6 5 4 3 2 1 0"),
        (sorted_by("response", "desc", question="stars"), "1 0 3 2 4 5 6 7"),
    ],
)
def test_records_are_sorted_with_those_without_value_last(pilot: Pilot, owner: Api, body: Item, expected: str) -> None:
    """Equals stay in the order of their making; r0 has ratings 1 and 4, 2.5 on average."""
    assert pilot.search(owner, body, everybody=True)[1] == [f"r{number}" for number in expected.replace(" ", "")]


def test_each_user_has_an_order_of_their_own_that_pages_follow(argilla_server: LocalArgilla, pilot: Pilot) -> None:
    orders = [pilot.search(api(argilla_server, f"annotator_{number}"))[1] for number in (1, 2, 3)]
    pages = [pilot.search(api(argilla_server, "annotator_1"), limit=3, offset=offset) for offset in (0, 3, 6, 9)]

    assert len({tuple(order) for order in orders}) == 3
    assert [name for _, page in pages for name in page] == orders[0]
    assert {total for total, _ in pages} == {8}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # (1 + cosine) / 2 with r0 = (1, 0); r5 has no direction and r6 no vector.
        ("most_similar", [("r2", 0.8536), ("r4", 0.8), ("r1", 0.5), ("r7", 0.5), ("r3", 0.0)]),
        ("least_similar", [("r3", 1.0), ("r1", 0.5), ("r7", 0.5), ("r4", 0.2), ("r2", 0.1464)]),
    ],
)
def test_similar_records_come_with_elasticsearchs_score(
    pilot: Pilot, owner: Api, order: str, expected: list[tuple[str, float]]
) -> None:
    record = pilot.search_items(owner, where(terms("record", "r0", property="external_id")), everybody=True)
    vector = {"name": "meaning", "record_id": record["items"][0]["record"]["id"], "order": order}

    found = pilot.search_items(owner, {"query": {"vector": vector}}, everybody=True)

    scored = [(item["record"]["external_id"], round(item["query_score"], 4)) for item in found["items"]]
    assert scored == expected


def test_similarity_search_obeys_filters_and_the_page(pilot: Pilot, owner: Api) -> None:
    vector = {"query": {"vector": {"name": "meaning", "value": [1, 0]}}}
    shop = where(terms("metadata", "shop", metadata_property="source"))

    assert pilot.search(owner, {**vector, **shop}, everybody=True)[1] == ["r0", "r4", "r1"]
    assert pilot.search(owner, vector, everybody=True, limit=2, offset=1)[1] == ["r2", "r4"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (where(between("metadata", 1, 2, metadata_property="source")), "Expected: numbers"),
        (where(terms("metadata", "many", metadata_property="stars")), "could not convert string to float"),
        (where(terms("suggestion", "x", question="why", property="value")), "not searchable"),
        (where(terms("record", "r1", property="id")), "UUID"),
        (where(terms("record", "lost", property="status")), "RecordStatus"),
        (sorted_by("response", "asc", question="label"), "a rating question"),
        ({"query": {"text": {"q": "a|b"}}}, "double quotes"),
        ({"query": {"text": {"q": "kettel~2"}}}, "double quotes"),
        ({"query": {"vector": {"name": "meaning", "value": [1, 2, 3]}}}, "Expected: 2"),
        ({"query": {"vector": {"name": "meaning", "value": [0, 0]}}}, "no direction"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(pilot: Pilot, owner: Api, body: Item, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        pilot.search(owner, body, everybody=True)

    assert refused.value.status == 422
    assert message in json.loads(refused.value.detail)["detail"]


def test_metadata_metrics_count_terms_and_bound_numbers(pilot: Pilot, owner: Api) -> None:
    properties = owner.get(f"/me/datasets/{pilot.dataset_id}/metadata-properties")["items"]
    found = {known["name"]: owner.get(f"/metadata-properties/{known['id']}/metrics") for known in properties}

    counts = [("posts", 3), ("shop", 3), ("mail", 2)]
    assert found["source"] == {"type": "terms", "total": 8, "values": [{"term": t, "count": n} for t, n in counts]}
    assert found["stars"] == {"type": "integer", "min": 1, "max": 5}
    assert found["doubt"] == {"type": "float", "min": 0.05, "max": 0.9}


def test_progress_counts_records_and_each_users_responses(pilot: Pilot, owner: Api, first: Api) -> None:
    assert pilot.progress(owner) == {"total": 8, "completed": 1, "pending": 7}
    assert pilot.own_progress(first) == {"total": 8, "submitted": 1, "draft": 1, "discarded": 1, "pending": 5}
