"""People at a real Argilla: three annotators who answer through its REST API."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workflows_dagster.lib.annotation.argilla.datasets import dataset_name
from workflows_dagster.lib.annotation.argilla.desk import ArgillaDesk
from workflows_dagster.lib.annotation.argilla.server import ArgillaServer
from workflows_dagster.lib.annotation.desk import FEELING
from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.argilla_server_fixture import Api, api
from workflows_dagster_tests.lib.annotation.desk_contract import SOUNDNESS

BULK_ROWS = 50

Answers = list[tuple[str, str, str]]


@dataclass
class ArgillaBench:
    """A desk on a server that runs, and its people."""

    server: LocalArgilla
    timeout_s: float = 60
    attempts: int = 4

    @property
    def desk(self) -> ArgillaDesk:
        return ArgillaDesk(self.settings())

    def settings(self, **changes: Any) -> ArgillaServer:
        credentials = self.server.credentials
        given: dict[str, Any] = {
            "url": self.server.url,
            "api_key": credentials.owner.api_key,
            "workspace": credentials.workspace,
            "timeout_s": self.timeout_s,
            "attempts": self.attempts,
        }
        return ArgillaServer(**(given | changes))

    @property
    def owner(self) -> Api:
        return api(self.server, "owner")

    def datasets(self, round_id: str) -> list[dict[str, Any]]:
        """The datasets of a round, the one for calibration first."""
        asked = [(calibration, inquiry) for calibration in (True, False) for inquiry in (FEELING, SOUNDNESS)]
        names = [dataset_name(round_id, inquiry, calibration=calibration) for calibration, inquiry in asked]
        held = {item["name"]: item for item in self.owner.get("/me/datasets")["items"]}
        return [held[name] for name in names if name in held]

    def records(self, round_id: str) -> dict[str, dict[str, Any]]:
        """The records of a round by review."""
        return {record["external_id"]: record for record in self._records(round_id)}

    def record_count(self, round_id: str) -> int:
        return len(list(self._records(round_id)))

    def answer(self, round_id: str, answers: Answers, reason: str = "", status: str = "submitted") -> None:
        records = self.records(round_id) if answers else {}
        items: dict[str, list[dict[str, Any]]] = {}
        for annotator, review, label in answers:
            values = {"label": {"value": label}} | ({"reason": {"value": reason}} if reason else {})
            item = {"record_id": records[review]["id"], "status": status, "values": values}
            items.setdefault(annotator, []).append(item)
        for annotator, own in items.items():
            for start in range(0, len(own), BULK_ROWS):
                body = {"items": own[start : start + BULK_ROWS]}
                done = api(self.server, annotator).post("/me/responses/bulk", body)
                assert not [item["error"] for item in done["items"] if item["error"]]

    def add_strange_review(self, round_id: str) -> None:
        [dataset] = self.datasets(round_id)
        item = {"external_id": "strange", "fields": {"text": "never asked"}}
        self.owner.post(f"/datasets/{dataset['id']}/records/bulk", {"items": [item]})
        self.answer(round_id, [("annotator_1", "strange", "positive")])

    def _records(self, round_id: str) -> Iterator[dict[str, Any]]:
        for dataset in self.datasets(round_id):
            offset, total = 0, 1
            while offset < total:
                place = f"/datasets/{dataset['id']}/records?include=responses&include=suggestions"
                page = self.owner.get(f"{place}&limit=1000&offset={offset}")
                yield from page["items"]
                total = page["total"]
                offset += 1000
