"""The step that makes benchmark_report: one page on the whole chain, the same as Markdown and as a record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.pick import Pick, pick
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.cleaning.clean import CleaningReport
from workflows_dagster.lib.cleaning.corpus import CorpusReport
from workflows_dagster.lib.export.registry import REGISTRY
from workflows_dagster.lib.finetuning.adapter import AdapterRecord
from workflows_dagster.lib.ingest.raw_reviews import IngestReport
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.sample.bundled import bundled_sources
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
    """One version that the report is made of."""

    asset: str
    partition: str | None
    commit: str
    digest: str


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
        provenance: The versions that all of this comes from.
    """

    sources: tuple[SourceRows, ...]
    reasons: tuple[RejectReason, ...]
    corpus: CorpusReport
    augmented: AugmentedReviews
    adapter: AdapterRecord
    benchmarks: tuple[BenchmarkRecord, ...]
    outdated: tuple[str, ...]
    provenance: tuple[Origin, ...]


class ReportRecord(Record):
    """The report as data.

    Attributes:
        sources: What became of the rows of each source.
        reasons: Rows that reading and cleaning rejected, by reason.
        corpus: What was kept, and what was dropped as a copy.
        augmented: Where labels come from, and what became of generated rows.
        adapter: The fine-tuned model and its baseline.
        benchmarks: What was measured of each artefact.
        pick: The artefact to deploy.
        notices: What a reader has to know before any number.
        missing: What the report does not tell, and why.
        provenance: The versions that it is made of.
    """

    VERSION: ClassVar[int] = 2

    sources: tuple[SourceRows, ...]
    reasons: tuple[RejectReason, ...]
    corpus: CorpusReport
    augmented: AugmentedReviews
    adapter: AdapterRecord
    benchmarks: tuple[BenchmarkRecord, ...]
    pick: Pick
    notices: tuple[str, ...]
    missing: tuple[str, ...]
    provenance: tuple[Origin, ...]

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

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        return {
            "benchmark/pick": self.pick.technique or "none qualified",
            "benchmark/pick_reason": self.pick.reason,
            "benchmark/techniques": len(self.benchmarks),
            "benchmark/macro_f1": self.adapter.model.macro_f1.value,
            "benchmark/macro_f1_low": self.adapter.model.macro_f1.low,
            "benchmark/missing": list(self.missing),
            "benchmark/notices": list(self.notices),
        }


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
        pick=pick(inputs.benchmarks, settings),
        notices=tuple(_notices(inputs)),
        missing=tuple(f"{what}: {', '.join(names)}" for what, names in missing.items() if names),
        provenance=inputs.provenance,
    )


DATA_ASSETS: Final = ("raw_reviews", "cleaned_reviews", "review_corpus")
"""Whose records the report reads along the versions that augmented_reviews was made from."""


def gather(chain: Mapping[str, Sequence[Artifact]]) -> ReportInputs:
    """What the report tells of, from the records of a chain.

    Args:
        chain: Versions by asset: batches of raw_reviews and cleaned_reviews, techniques of export_benchmarks, and
            one version each of review_corpus, augmented_reviews and lora_adapter. What else is in it is named in the
            provenance alone.
    """
    adapter = chain["lora_adapter"][0]
    measured = [(one, BenchmarkRecord.read(one.folder)) for one in chain["export_benchmarks"]]
    order = list(REGISTRY)
    measured.sort(key=lambda pair: order.index(pair[1].technique))
    current = [(one, record) for one, record in measured if record.adapter_commit == adapter.commit]
    outdated = [record.technique for _, record in measured if record.adapter_commit != adapter.commit]
    versions = [one for asset, versions in chain.items() for one in versions if asset != "export_benchmarks"]
    versions += [one for one, _ in current]
    corpus = CorpusReport.read(chain["review_corpus"][0].folder)
    sources, reasons = _rows(chain["raw_reviews"], chain["cleaned_reviews"], corpus)
    return ReportInputs(
        sources=sources,
        reasons=reasons,
        corpus=corpus,
        augmented=AugmentedReviews.read(chain["augmented_reviews"][0].folder),
        adapter=AdapterRecord.read(adapter.folder),
        benchmarks=tuple(record for _, record in current),
        outdated=tuple(outdated),
        provenance=tuple(Origin(one.asset, one.partition, one.commit, one.digest) for one in versions),
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
    """What a reader has to know before any number: stand-ins, weak labels, made-up data, several machines."""
    found: list[str] = []
    if made_up := [source.source for source in inputs.sources if source.made_up]:
        found.append(
            f"Reviews of {', '.join(made_up)} are the bundled sample: made up, to show the chain. No figure here says "
            "how the model does on real reviews."
        )
    if not inputs.augmented.label_sources.get("human"):
        found.append(
            "All labels are weak (from stars or given by the source): the annotation pilot is waiting for people."
        )
    if inputs.augmented.rows_synthetic:
        stand_in = inputs.augmented.validation.generator_is_stand_in
        generator = "the embedded stand-in generator" if stand_in else "a generator"
        found.append(f"Synthetic training rows were made by {generator}. Whether they help has not been shown.")
    found.append(f"{inputs.augmented.review.sentence}.")
    if len({one.machine for one in inputs.benchmarks}) > 1:
        found.append("The benchmarks are from different machines: compare ratios, not seconds.")
    return found
