"""How an asset of this project is declared: once, with its audits, and published by one path.

The body of an asset takes its inputs and hands over one function of `lib` that writes into a folder. Everything else
derives from the declaration: check specs, the binding of audits to inputs, provenance, the gates of a release, and the
tables of the documentation.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_type_hints

import dagster as dg

from workflows_dagster.lib.artifact import Artifact, Report
from workflows_dagster.lib.audit import Audit
from workflows_dagster.lib.store.version import Version
from workflows_dagster.resources.store import Published, StoreResource, told_to_dagster

Build = Callable[[Path], Report]
"""Writes an output into the folder it is given and returns its report."""


@dataclass(frozen=True)
class Publication:
    """What a body hands over where `Build` alone does not say everything.

    Attributes:
        build: Writes the output.
        reads: Versions that it was made from besides its inputs: of assets that it depends on without loading them.
        given: What else it was made from besides versions and configuration, recorded as provenance.
        after: What is done with the published version before the step ends; returns what to show of it.
    """

    build: Build
    reads: Sequence[Artifact] = ()
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    after: Callable[[Version], Mapping[str, dg.MetadataValue]] | None = None


OWNERS: Final = ["team:reviews"]

Body = Callable[..., Build | Publication | Iterator[Build | Publication]]
"""The body of an asset. One that yields, once, holds what it opened until its output is published."""

_AUDITS: Final[dict[str, Sequence[Audit]]] = {}
_INPUT_TYPES: Final = (Artifact, list[Artifact])


def declared_audits() -> Mapping[str, Sequence[Audit]]:
    """The audits of every asset that was declared in this process, by name of asset."""
    return MappingProxyType(_AUDITS)


def gates() -> dict[str, frozenset[str]]:
    """Names of the blocking audits of every declared asset: what a release asks of its chain."""
    return {asset: frozenset(audit.name for audit in audits if audit.blocking) for asset, audits in _AUDITS.items()}


def published_asset(
    *, audits: Sequence[Audit], table: str | None = None, tags: Mapping[str, str] | None = None, **declaration: Any
) -> Callable[[Body], dg.AssetsDefinition]:
    """Declares an asset that is published through the store.

    Args:
        audits: What must hold of the output. Each that compares names an input of the asset in `against`.
        table: Parquet file whose rows are the asset's own; the UI shows its columns and a masked sample.
        tags: Tags of the asset; its op carries the same, for run queues and executors.
        declaration: As `dagster.asset` takes it: group_name, kinds, code_version, partitions_def, deps, pool,
            automation_condition.

    Raises:
        TypeError: An audit compares with something that is no input of the asset.
    """

    def declare(body: Body) -> dg.AssetsDefinition:
        asset = body.__name__
        hints = get_type_hints(body)
        inputs = [name for name, hint in hints.items() if hint in _INPUT_TYPES]
        if strange := {audit.against for audit in audits} - {None, *inputs}:
            raise TypeError(f"audits of {asset} compare with {strange}: expected one of its inputs {inputs}")
        _AUDITS[asset] = tuple(audits)
        specs = [
            dg.AssetCheckSpec(audit.name, asset=asset, blocking=audit.blocking, description=audit.description)
            for audit in audits
        ]
        compute = _published(body, hints, inputs, table, audits)
        return dg.asset(**declaration, owners=OWNERS, check_specs=specs, tags=tags, op_tags=tags)(compute)

    return declare


def _published(
    body: Body, hints: Mapping[str, Any], inputs: Sequence[str], table: str | None, audits: Sequence[Audit]
) -> Callable[..., Published]:
    """The function that Dagster runs: the body, then write, audit and publish."""

    @wraps(body)
    def publish(context: dg.AssetExecutionContext, store: StoreResource, **others: Any) -> Published:
        offered = {"context": context, "store": store, **others}
        artifacts = {name: others[name] for name in inputs}
        folders = {name: one.folder for name, one in artifacts.items() if isinstance(one, Artifact)}
        arguments = {name: given for name, given in offered.items() if name in hints}
        with told_to_dagster(context), _opened(body, arguments) as handed:
            publication = handed if isinstance(handed, Publication) else Publication(handed)
            yield from store.publish(
                context,
                publication.build,
                table=table,
                audits=[audit.bind(folders) for audit in audits],
                inputs=[*_flat(artifacts.values()), *publication.reads],
                given=publication.given,
                after=publication.after,
            )

    # Dagster reads names and types of inputs, configuration and resources off the signature.
    types = {"context": dg.AssetExecutionContext, **hints, "store": StoreResource, "return": Published}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, annotation=hint) for name, hint in types.items() if name != "return"]
    publish.__annotations__ = types
    publish.__signature__ = inspect.Signature(parameters, return_annotation=Published)  # pyright: ignore[reportAttributeAccessIssue]
    return publish


def _flat(artifacts: Iterable[Artifact | list[Artifact]]) -> Iterator[Artifact]:
    for one in artifacts:
        yield from one if isinstance(one, list) else [one]


def _opened(body: Body, arguments: Mapping[str, Any]) -> AbstractContextManager[Build | Publication]:
    if inspect.isgeneratorfunction(body):
        return contextmanager(body)(**arguments)
    handed = body(**arguments)
    if isinstance(handed, Iterator):
        raise TypeError(f"{body.__name__} returned an iterator: expected a function that writes the output")
    return nullcontext(handed)
