"""Plain requests to a lakeFS server, for tests of what exactly it answers."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import urllib3


@dataclass(frozen=True)
class Answer:
    """What came back; `json` is None where the body is none."""

    status: int
    text: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass(frozen=True)
class Caller:
    """A client of one repository; `{repository}` in a path stands for its name."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    repository: str

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(maxsize=8, retries=False, timeout=30)

    def call(
        self,
        method: str,
        path_: str,
        /,
        *,
        json_: object = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        anonymous: bool = False,
        **query: Any,
    ) -> Answer:
        """Makes a request to a path of the repository, or, if it begins with two slashes, of the server."""
        place = path_.removeprefix("/") if path_.startswith("//") else f"/repositories/{self.repository}{path_}"
        sent = {} if anonymous else urllib3.make_headers(basic_auth=f"{self.access_key_id}:{self.secret_access_key}")
        if json_ is not None:
            body = json.dumps(json_)
            sent |= {"Content-Type": "application/json"}
        address = f"{self.endpoint}/api/v1{place}?{urlencode(query, doseq=True)}".rstrip("?")
        got = self._pool.request(method, address, body=body, headers=sent | (headers or {}))
        return Answer(got.status, got.data, got.headers)

    def done(self, method: str, path_: str, /, **given: Any) -> Any:
        """What a request that has to succeed gives."""
        got = self.call(method, path_, **given)
        assert got.status < 300, (method, path_, got.status, got.text)
        return json.loads(got.text) if got.headers.get("Content-Type") == "application/json" else got.text

    def upload(self, branch: str, path: str, content: bytes = b"x") -> Any:
        kind = {"Content-Type": "application/octet-stream"}
        return self.done("POST", f"/branches/{branch}/objects", body=content, headers=kind, path=path)

    def commit(self, branch: str, message: str = "m", **given: Any) -> Any:
        return self.done("POST", f"/branches/{branch}/commits", json_={"message": message, **given})

    def branch(self, name: str, source: str = "main") -> None:
        self.done("POST", "/branches", json_={"name": name, "source": source})

    def merge(self, source: str, destination: str = "main", **given: Any) -> Answer:
        return self.call("POST", f"/refs/{source}/merge/{destination}", json_=given)

    def read(self, ref: str, path: str) -> bytes:
        return self.call("GET", f"/refs/{ref}/objects", path=path).text

    def publish(self, branch: str, path: str, content: bytes) -> str:
        """Commits a file on a new branch of main; returns the id of the commit."""
        self.branch(branch)
        self.upload(branch, path, content)
        return str(self.commit(branch, f"{path} on {branch}")["id"])
