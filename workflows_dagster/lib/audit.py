"""Audits: what must hold of an output before it is published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
        name: The property that holds, without the name of the asset.
        description: What holds when it passes.
        judge: Reads the staged folder and returns the verdict; with `against`, reads the upstream folder first.
        against: Name of the input that the output is compared with, or None.
        blocking: Whether a failure keeps the output from being published.
    """

    name: str
    description: str
    judge: Callable[..., Verdict]
    against: str | None = None
    blocking: bool = True

    def bind(self, inputs: Mapping[str, Path]) -> "Audit":
        """The audit of an output that was made from these folders, by name of input: its judge takes one folder."""
        if self.against is None:
            return self
        return replace(self, judge=partial(self.judge, inputs[self.against]), against=None)
