"""The step that makes benchmark_report: one page on the whole chain, the same as Markdown and as a record."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from typing import Any, ClassVar, Final, Self

from workflows_dagster.lib.artifact import Artifact, Markdown
from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.pick import Pick, pick
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.benchmark.slices import Miss, Slice, judged_rows, slices, worst_misses
from workflows_dagster.lib.cleaning.clean import CleaningReport
from workflows_dagster.lib.cleaning.corpus import CorpusReport
from workflows_dagster.lib.export.registry import REFERENCE, REGISTRY
from workflows_dagster.lib.finetuning.adapter import AdapterRecord
from workflows_dagster.lib.ingest.raw_reviews import IngestReport
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.sample.bundled import bundled_sources
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.synthesis.augmentation import AugmentedReviews


@dataclass(frozen=True)
class SourceRows:
    """What became of the rows of one source.

    Attributes:
        source: Name of the source.
        made_up: Whether it is part of the bundled sample.
        rows_in: Rows that were read.
        skipped_by_limit: Rows beyond the limit of a quick look.
        rejected_reading: Rows that could not be read.
        rejected_cleaning: Rows that cleaning rejected.
        in_corpus: Rows of the corpus.
    """

    source: str
    made_up: bool
    rows_in: int
    skipped_by_limit: int
    rejected_reading: int
    rejected_cleaning: int
    in_corpus: int


@dataclass(frozen=True)
class RejectReason:
    """Rows of one source that one step rejected for one reason."""

    source: str
    step: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Origin:
    """One version behind the report.

    Attributes:
        asset: Name of the asset.
        partition: Its partition key, or None.
        commit: The commit that published it.
        digest: Digest of its content.
        code_version: Version of the code of the asset.
        config: The run configuration that it was made with.
        created_at: ISO 8601, UTC.
    """

    asset: str
    partition: str | None
    commit: str
    digest: str
    code_version: str
    config: dict[str, Any]
    created_at: str

    @classmethod
    def of(cls, version: Version) -> Self:
        """The entry of a published version."""
        metadata = version.metadata
        return cls(
            asset=version.path.partition("/")[0],
            partition=metadata.get("partition") or None,
            commit=version.commit,
            digest=version.digest,
            code_version=metadata.get("code_version", ""),
            config=json.loads(metadata.get("config") or "{}"),
            created_at=version.created_at,
        )


@dataclass(frozen=True)
class ReportInputs:
    """What the report tells of.

    Attributes:
        sources: What became of the rows of each source.
        reasons: Rows that reading and cleaning rejected, by reason.
        corpus: The record of the corpus.
        augmented: The record of the table that was trained and judged on.
        adapter: The record of the adapter.
        benchmarks: Those of its model, in the order of the registry.
        outdated: Techniques that have only been benchmarked for an earlier model, because they fail for this one.
        slices: Quality of the model and its baseline on parts of the test rows.
        misses: The worst misses of the model. Their texts go to the page alone.
        provenance: Every version that all of this comes from.
    """

    sources: tuple[SourceRows, ...]
    reasons: tuple[RejectReason, ...]
    corpus: CorpusReport
    augmented: AugmentedReviews
    adapter: AdapterRecord
    benchmarks: tuple[BenchmarkRecord, ...]
    outdated: tuple[str, ...]
    slices: tuple[Slice, ...]
    misses: tuple[Miss, ...]
    provenance: tuple[Origin, ...]


class ReportRecord(Record):
    """The report as data, without the texts of reviews.

    Attributes:
        sources: What became of the rows of each source.
        reasons: Rows that reading and cleaning rejected, by reason.
        corpus: What was kept, and what was dropped as a copy.
        augmented: Where labels come from, and what became of generated rows.
        adapter: The fine-tuned model and its baseline.
        benchmarks: What was measured of each artefact.
        slices: Quality of the model and its baseline on parts of the test rows.
        pick: The artefact to deploy, and what became of the others.
        notices: What a reader has to know before any number.
        missing: What the report does not tell, and why.
        provenance: Every version that it is made of.
        settings: Margins and noise bands of the pick.
        code: Version of this package.
    """

    VERSION: ClassVar[int] = 2

    sources: tuple[SourceRows, ...]
    reasons: tuple[RejectReason, ...]
    corpus: CorpusReport
    augmented: AugmentedReviews
    adapter: AdapterRecord
    benchmarks: tuple[BenchmarkRecord, ...]
    slices: tuple[Slice, ...]
    pick: Pick
    notices: tuple[str, ...]
    missing: tuple[str, ...]
    provenance: tuple[Origin, ...]
    settings: ReportSettings
    code: str

    def total(self, count: str) -> int:
        """Sum of one count over the sources."""
        return sum(getattr(source, count) for source in self.sources)

    @property
    def rows_rejected(self) -> int:
        """Rows that reading and cleaning rejected."""
        return self.total("rejected_reading") + self.total("rejected_cleaning")

    @property
    def rows_duplicate(self) -> int:
        """Copies that were dropped."""
        return sum(self.corpus.rows_duplicate.values())

    @property
    def label_sources(self) -> dict[str, int]:
        """Real labelled rows by origin of the label."""
        return {name: rows for name, rows in self.augmented.label_sources.items() if name != "synthetic"}

    @property
    def picked(self) -> BenchmarkRecord | None:
        """What was measured of the pick; None where nothing qualified."""
        return next((one for one in self.benchmarks if one.technique == self.pick.technique), None)

    @property
    def made_up(self) -> tuple[str, ...]:
        """Sources of the bundled sample."""
        return tuple(source.source for source in self.sources if source.made_up)

    @property
    def newest(self) -> str | None:
        """When the newest version that it is made of was published; not when it was made, which changes nothing."""
        return max((origin.created_at for origin in self.provenance), default=None)

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """Run configuration by asset that makes the same report from the same sources."""
        chosen = {origin.asset: origin.config for origin in self.provenance if origin.config}
        return chosen | {"benchmark_report": self.settings.model_dump()}

    def to_metadata(self) -> Mapping[str, object]:
        """The pick, the exports side by side, and what a reader has to know; the rest is on the page."""
        from workflows_dagster.lib.benchmark.figures import trade_off_picture

        comparison = {
            "benchmark/comparison": Markdown(self._comparison()),
            "benchmark/trade_off": trade_off_picture(self),
        }
        return {
            "benchmark/pick": self.pick.technique or "none qualified",
            "benchmark/pick_reason": self.pick.reason,
            **(comparison if self.benchmarks else {}),
            "benchmark/macro_f1_of_the_model": str(self.adapter.model.macro_f1),
            "benchmark/macro_f1": self.adapter.model.macro_f1.value,
            "benchmark/missing": list(self.missing),
            "benchmark/notices": list(self.notices),
        }

    def _comparison(self) -> str:
        lines = [
            f"| {one.technique}{' (pick)' if one.technique == self.pick.technique else ''} "
            f"| {one.speed_ratio.value:.2f} | {one.quality.macro_f1.value:.3f} | {one.agreement.value:.3f} "
            f"| {one.latency.p50_ms:.1f} | {one.peak_memory_bytes / 1e6:,.0f} | {one.size_bytes / 1e6:,.1f} |"
            for one in self.benchmarks
        ]
        head = "| export | speed | macro-F1 | same class | ms | RAM MB | MB |"
        return "\n".join([head, "|---" + "|---:" * 6 + "|", *lines])


def compile_report(inputs: ReportInputs, settings: ReportSettings) -> ReportRecord:
    """The report as data: what it tells of, the pick, and what a reader has to know before any number."""
    absent = sorted(REGISTRY.keys() - {one.technique for one in inputs.benchmarks})
    missing = {
        "compression: left out, because measured on another model": inputs.outdated,
        "compression: not benchmarked yet": absent,
    }
    return ReportRecord(
        sources=inputs.sources,
        reasons=inputs.reasons,
        corpus=inputs.corpus,
        augmented=inputs.augmented,
        adapter=inputs.adapter,
        benchmarks=inputs.benchmarks,
        slices=inputs.slices,
        pick=pick(inputs.benchmarks, settings),
        notices=tuple(_notices(inputs)),
        missing=tuple(f"{what}: {', '.join(names)}" for what, names in missing.items() if names),
        provenance=inputs.provenance,
        settings=settings,
        code=package_version("workflows-dagster"),
    )


DATA_ASSETS: Final = ("raw_reviews", "cleaned_reviews", "review_corpus")
"""Whose records the report reads along the versions that augmented_reviews was made from."""


def gather(
    chain: Mapping[str, Sequence[Artifact]], lineage: Callable[[Iterable[Artifact]], Iterable[Version]]
) -> ReportInputs:
    """What the report tells of, from the records of a chain.

    Args:
        chain: Versions by asset: batches of raw_reviews and cleaned_reviews, techniques of export_benchmarks, and
            one version each of review_corpus, augmented_reviews and lora_adapter.
        lineage: Gives the versions that some artifacts were made from, their own included.
    """
    adapter, reviews = chain["lora_adapter"][0], chain["augmented_reviews"][0]
    measured = [(one, BenchmarkRecord.read(one.folder)) for one in chain["export_benchmarks"]]
    order = list(REGISTRY)
    measured.sort(key=lambda pair: order.index(pair[1].technique))
    current = [(one, record) for one, record in measured if record.adapter_commit == adapter.commit]
    outdated = [record.technique for _, record in measured if record.adapter_commit != adapter.commit]
    corpus = CorpusReport.read(chain["review_corpus"][0].folder)
    sources, reasons = _rows(chain["raw_reviews"], chain["cleaned_reviews"], corpus)
    tested = judged_rows(adapter, reviews)
    versions = lineage([reviews, adapter, *(one for one, _ in current)])
    return ReportInputs(
        sources=sources,
        reasons=reasons,
        corpus=corpus,
        augmented=AugmentedReviews.read(reviews.folder),
        adapter=AdapterRecord.read(adapter.folder),
        benchmarks=tuple(record for _, record in current),
        outdated=tuple(outdated),
        slices=slices(tested),
        misses=worst_misses(tested),
        provenance=tuple(Origin.of(version) for version in versions),
    )


def _rows(
    raw: Sequence[Artifact], cleaned: Sequence[Artifact], corpus: CorpusReport
) -> tuple[tuple[SourceRows, ...], tuple[RejectReason, ...]]:
    """What became of the rows of each source, and why some were rejected."""
    counts: dict[str, Counter[str]] = {}
    source_of: dict[str | None, str] = {}
    reasons: Counter[tuple[str, str, str]] = Counter()
    for artifact in raw:
        read = IngestReport.read(artifact.folder)
        source_of[artifact.partition] = read.source
        counts.setdefault(read.source, Counter()).update(
            rows_in=read.rows_in,
            skipped_by_limit=read.rows_skipped_by_limit,
            rejected_reading=read.rows_rejected,
        )
        reasons.update({(read.source, "reading", reason): rows for reason, rows in read.reasons.items()})
    for artifact in cleaned:
        report = CleaningReport.read(artifact.folder)
        source = source_of[artifact.partition]
        counts[source].update(rejected_cleaning=report.rows_rejected)
        reasons.update({(source, "cleaning", reason): rows for reason, rows in report.reasons.items()})
    bundled = bundled_sources()
    columns = ("rows_in", "skipped_by_limit", "rejected_reading", "rejected_cleaning")
    sources = tuple(
        SourceRows(
            source,
            source in bundled,
            **{column: found[column] for column in columns},
            in_corpus=corpus.sources.get(source, 0),
        )
        for source, found in sorted(counts.items())
    )
    return sources, tuple(RejectReason(*key, rows) for key, rows in sorted(reasons.items()) if rows)


def _notices(inputs: ReportInputs) -> list[str]:
    """What a reader has to know before any number: stand-ins, weak labels, made-up data, noise, several machines."""
    found: list[str] = []
    if made_up := [source.source for source in inputs.sources if source.made_up]:
        found.append(
            f"Reviews of {', '.join(made_up)} are the bundled sample: made up, to show the chain. No figure here says "
            "how the model does on real reviews."
        )
    gain = inputs.adapter.macro_f1_gain
    if gain.low <= 0:
        found.append(f"The model is not shown to be better than the linear baseline: macro-F1 changes by {gain}.")
    if not inputs.augmented.label_sources.get("human"):
        found.append(
            "All labels are weak (from stars or given by the source): the annotation pilot is waiting for people."
        )
    if inputs.augmented.rows_synthetic:
        stand_in = inputs.augmented.validation.generator_is_stand_in
        generator = "the embedded stand-in generator" if stand_in else "a generator"
        found.append(f"Synthetic training rows were made by {generator}. Whether they help has not been shown.")
    found.append(f"{inputs.augmented.review.sentence}.")
    found += [
        f"The merged model beside itself came out at {one.speed_ratio} times its own speed: the machine was busy, and "
        "ratios as close to 1 as that are noise."
        for one in inputs.benchmarks
        if one.technique == REFERENCE.name and not one.speed_ratio.low <= 1 <= one.speed_ratio.high
    ]
    if len({one.machine for one in inputs.benchmarks}) > 1:
        found.append("The benchmarks are from different machines: compare ratios, not seconds.")
    return found
