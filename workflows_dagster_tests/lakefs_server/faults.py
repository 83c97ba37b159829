"""Faults on the wire, on order."""

import re
import threading
from dataclasses import dataclass, replace
from typing import Literal, get_args

Kind = Literal["status", "delay", "reset", "reset_in_body", "lost_answer", "truncate"]


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
        body: Of "status": the whole body, instead of a message in JSON.
        after_bytes: Of "reset_in_body" and "truncate".
        delay_s: How long the request waits before any kind of fault.
    """

    kind: Kind
    method: str = ".*"
    path: str = ""
    times: int = 1
    skip: int = 0
    status: int = 500
    body: str = ""
    after_bytes: int = 0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no kind of fault: {self.kind!r}; expected one of {', '.join(get_args(Kind))}")


class Faults:
    """The faults that are still to happen; each request meets the first one that matches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rules: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Orders faults, after those that are still to happen."""
        with self._lock:
            self.rules.extend(faults)

    def clear(self) -> None:
        """Forgets what is still to happen."""
        with self._lock:
            self.rules.clear()

    def take(self, method: str, target: str) -> Fault | None:
        """The fault that a request meets, counted."""
        with self._lock:
            for number, rule in enumerate(self.rules):
                if not re.fullmatch(rule.method, method) or not re.search(rule.path, target):
                    continue
                if rule.skip:
                    self.rules[number] = replace(rule, skip=rule.skip - 1)
                    continue
                if rule.times > 1:
                    self.rules[number] = replace(rule, times=rule.times - 1)
                else:
                    del self.rules[number]
                return rule
        return None
