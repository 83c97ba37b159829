"""Faults on the wire, on order, and a record of the requests that came."""

import re
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

Kind = Literal["status", "delay", "reset", "reset_in_body", "lost_answer", "truncate"]

_MESSAGES = {
    401: "error authenticating request",
    403: "cannot write to protected branch",
    404: "not found",
    409: "conflict found",
    410: "repository in deletion",
    412: "Precondition failed",
    423: "branch is locked",
    429: "Too many attempts, try again later",
    500: "branch is currently locked, try again later",
    503: "Throughput exceeded. Slow down and retry",
}
"""What the server says with each status where a rule does not; 423 is one that only proxies before it send."""


@dataclass(frozen=True)
class Fault:
    """What happens to the next requests that match.

    Attributes:
        kind: "status": refused with a status. "delay": carried out late. "reset": the connection is reset before
            anything of the body is read. "reset_in_body": it is reset after `after_bytes` of the request's body.
            "lost_answer": the request is carried out, and the connection reset instead of an answer. "truncate": the
            body of the answer ends after `after_bytes`.
        method: Regular expression that the whole method matches.
        path: Regular expression found in the path and query, as in "/branches/main/commits$" or "/objects[?]path=big".
        times: How many requests it happens to.
        skip: How many matching requests pass before.
        status: Of "status".
        message: Of "status": what the body says; empty: what lakeFS says with that status.
        body: Of "status": the whole body, instead of a message.
        headers: Of "status": more headers, as Retry-After.
        after_bytes: Of "reset_in_body" and "truncate".
        delay_s: How long a request waits before any kind of fault.
    """

    kind: Kind
    method: str = ".*"
    path: str = ""
    times: int = 1
    skip: int = 0
    status: int = 500
    message: str = ""
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    after_bytes: int = 0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no kind of fault: {self.kind!r}; expected one of {', '.join(get_args(Kind))}")

    @property
    def text(self) -> str:
        """What the body of a refusal says."""
        return self.message or _MESSAGES.get(self.status, f"status {self.status}")

    def matches(self, method: str, target: str) -> bool:
        return re.fullmatch(self.method, method) is not None and re.search(self.path, target) is not None


class Faults:
    """The rules in force; each request meets the first one that matches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Puts rules in force, after those that are."""
        with self._lock:
            self._rules.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    @property
    def rules(self) -> list[Fault]:
        """What is still to happen."""
        with self._lock:
            return list(self._rules)

    def take(self, method: str, target: str) -> Fault | None:
        """What happens to a request; counts it."""
        with self._lock:
            for number, rule in enumerate(self._rules):
                if not rule.matches(method, target):
                    continue
                if rule.skip:
                    self._rules[number] = replace(rule, skip=rule.skip - 1)
                    continue
                if rule.times > 1:
                    self._rules[number] = replace(rule, times=rule.times - 1)
                else:
                    del self._rules[number]
                return rule
        return None

    def to_answer(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]


@dataclass
class Seen:
    """A request that came.

    Attributes:
        method: Its method.
        target: Path and query, as sent.
        status: Of the answer; None where none was sent.
        fault: Kind of the fault that it met, if any.
        body_bytes: How much of its body was read.
    """

    method: str
    target: str
    status: int | None = None
    fault: str | None = None
    body_bytes: int = 0


class Requests(Sequence[Seen]):
    """The requests that came, in their order."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []

    def add(self, seen: Seen) -> None:
        self._seen.append(seen)

    def clear(self) -> None:
        self._seen.clear()

    def matching(self, method: str = ".*", path: str = "", status: int | None = None) -> list[Seen]:
        """Those of a method and path (as in `Fault`), and of a status if one is given."""
        wanted = Fault("delay", method, path)
        found = [seen for seen in list(self._seen) if wanted.matches(seen.method, seen.target)]
        return [seen for seen in found if status in (None, seen.status)]

    def to_answer(self) -> list[dict[str, Any]]:
        return [asdict(seen) for seen in list(self._seen)]

    def __getitem__(self, index: Any) -> Any:
        return self._seen[index]

    def __len__(self) -> int:
        return len(self._seen)
