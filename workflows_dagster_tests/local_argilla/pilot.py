"""A small dataset on a real Argilla server, made through its REST API."""

from dataclasses import dataclass
from typing import Any

from workflows_dagster_tests.argilla_server_fixture import Api

LABELS = ["negative", "neutral", "positive"]
Item = dict[str, Any]


@dataclass(frozen=True)
class Pilot:
    """A published dataset: its id, and the ids of its questions by name."""

    dataset_id: str
    questions: dict[str, str]

    def push(self, owner: Api, items: list[Item]) -> list[str]:
        """Makes or updates records by their external_id; the ids of all."""
        found = owner.call("PUT", f"/datasets/{self.dataset_id}/records/bulk", {"items": items})
        return [item["id"] for item in found["items"]]

    def item(self, name: str, text: str, **more: Any) -> Item:
        """A record to push; suggestions by name of the question, as {"label": ("positive", 0.9, "model-a")}."""
        suggestions = [
            {"question_id": self.questions[question], "value": value, "score": score, "agent": agent, "type": "model"}
            for question, (value, score, agent) in more.pop("suggestions", {}).items()
        ]
        return {"external_id": name, "fields": {"text": text}, "suggestions": suggestions, **more}

    def search(
        self, user: Api, body: object = None, *, everybody: bool = False, **query: object
    ) -> tuple[int, list[str]]:
        """How many records fit, and the external_id of those on the page, in order."""
        found = self.search_items(user, body, everybody=everybody, **query)
        return found["total"], [item["record"]["external_id"] for item in found["items"]]

    def search_items(self, user: Api, body: object = None, *, everybody: bool = False, **query: object) -> Any:
        """The whole answer to a search."""
        path = f"/{'' if everybody else 'me/'}datasets/{self.dataset_id}/records/search"
        return user.post(path, body or {}, **query)

    def progress(self, user: Api) -> dict[str, int]:
        """How many records are complete."""
        found = user.get(f"/datasets/{self.dataset_id}/progress")
        return {name: found[name] for name in ("total", "completed", "pending")}

    def own_progress(self, user: Api) -> dict[str, int]:
        """How far one user is."""
        return user.get(f"/me/datasets/{self.dataset_id}/metrics")["responses"]


def make_pilot(owner: Api, name: str, *, min_submitted: int = 2, dimensions: int = 2) -> Pilot:
    """A dataset with one text field, four questions, three metadata properties and one vector, ready for records."""
    workspace = owner.get("/me/workspaces")["items"][0]["id"]
    distribution = {"strategy": "overlap", "min_submitted": min_submitted}
    made = owner.post("/datasets", {"name": name, "workspace_id": workspace, "distribution": distribution})
    place = f"/datasets/{made['id']}"
    owner.post(f"{place}/fields", {"name": "text", "title": "Text", "required": True, "settings": {"type": "text"}})
    labels = [{"value": label, "text": label.title()} for label in LABELS]
    questions = {
        "label": {"type": "label_selection", "options": labels, "visible_options": 3},
        "topics": {"type": "multi_label_selection", "options": labels, "visible_options": 3},
        "stars": {"type": "rating", "options": [{"value": number} for number in range(1, 6)]},
        "why": {"type": "text"},
    }
    ids = {
        question: owner.post(
            f"{place}/questions",
            {"name": question, "title": question, "required": question == "label", "settings": settings},
        )["id"]
        for question, settings in questions.items()
    }
    for name_, kind in (("source", "terms"), ("stars", "integer"), ("doubt", "float")):
        settings = {"name": name_, "title": name_, "settings": {"type": kind}, "visible_for_annotators": True}
        owner.post(f"{place}/metadata-properties", settings)
    owner.post(f"{place}/vectors-settings", {"name": "meaning", "title": "Meaning", "dimensions": dimensions})
    owner.call("PUT", f"{place}/publish")
    return Pilot(made["id"], ids)


def terms(entity: str, *values: object, **scope: str) -> Item:
    """A filter by exact values."""
    return {"type": "terms", "scope": {"entity": entity, **scope}, "values": list(values)}


def between(entity: str, low: float | str | None, high: float | str | None, **scope: str) -> Item:
    """A filter by a range, both ends included."""
    return {"type": "range", "scope": {"entity": entity, **scope}, "ge": low, "le": high}


def where(*filters: Item) -> Item:
    """A search for what passes all filters."""
    return {"filters": {"and": list(filters)}}


def sorted_by(entity: str, order: str, **scope: str) -> Item:
    """A search for everything in some order."""
    return {"sort": [{"scope": {"entity": entity, **scope}, "order": order}]}
