"""Audits: what must hold of an output before it is published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """The outcome of one audit, with the measured value and the threshold in `metadata`."""

    passed: bool
    description: str
    metadata: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float])


@dataclass(frozen=True)
class Audit:
    """A named property of an output folder.

    Attributes:
        name: `<asset>_<property that holds>`.
        description: What holds when it passes.
        judge: Reads the staged folder and returns the verdict.
        blocking: Whether a failure keeps the output from being published.
    """

    name: str
    description: str
    judge: Callable[[Path], Verdict]
    blocking: bool = True


@dataclass(frozen=True)
class Comparison:
    """A named property of an output folder that is judged beside one folder it was made from.

    Attributes:
        name: `<asset>_<property that holds>`.
        description: What holds when it passes.
        judge: Reads the upstream folder and the staged folder, in this order, and returns the verdict.
        blocking: Whether a failure keeps the output from being published.
    """

    name: str
    description: str
    judge: Callable[[Path, Path], Verdict]
    blocking: bool = True

    def against(self, upstream: Path) -> Audit:
        """The audit of outputs made from this upstream folder."""
        return Audit(self.name, self.description, partial(self.judge, upstream), self.blocking)
