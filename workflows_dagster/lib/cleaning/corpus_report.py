"""What went into a corpus, counted chunk by chunk."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from workflows_dagster.lib.artifact import Markdown
from workflows_dagster.lib.schema import LABELS, SPLITS

UNLABELLED: Final = "none"
KINDS: Final = ("same_id", "exact", "near")

Key = tuple[str, ...]


@dataclass(frozen=True)
class CorpusReport:
    """Counts of a corpus; every row that came in is in exactly one of kept, duplicate and left out.

    Attributes:
        rows_in: Cleaned reviews of all batches.
        rows_kept: Reviews of the corpus.
        rows_duplicate: Dropped copies by kind.
        rows_left_out: Reviews of sources that are not in the catalog, by source.
        sources, labels, label_sources, splits, languages: Kept reviews by each of these; "none" where it is null.
        split_table: Kept reviews by (source, split, label).
        label_table: Kept reviews by (source, label_source, label).
        conflicts: Texts whose copies carried different labels, by the rule that decided.
        relabelled_near_duplicates: Near duplicates that carried another label than the copy that was kept.
        near_similarity: From which similarity on two texts are near duplicates.
        split_targets: The share of labelled rows that each split was meant to have.
    """

    rows_in: int
    rows_kept: int
    rows_duplicate: Mapping[str, int]
    rows_left_out: Mapping[str, int]
    sources: Mapping[str, int]
    labels: Mapping[str, int]
    label_sources: Mapping[str, int]
    splits: Mapping[str, int]
    languages: Mapping[str, int]
    split_table: Mapping[Key, int]
    label_table: Mapping[Key, int]
    conflicts: Mapping[str, int]
    relabelled_near_duplicates: int
    near_similarity: float
    split_targets: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        """The content of report.json."""
        return {
            "rows_in": self.rows_in,
            "rows_kept": self.rows_kept,
            "rows_duplicate": dict(self.rows_duplicate),
            "rows_left_out": sum(self.rows_left_out.values()),
            "left_out_sources": dict(self.rows_left_out),
            "sources": dict(self.sources),
            "labels": dict(self.labels),
            "label_sources": dict(self.label_sources),
            "splits": dict(self.splits),
            "languages": dict(self.languages),
            "split_table": _nested(self.split_table),
            "label_table": _nested(self.label_table),
            "conflicts": dict(self.conflicts),
            "relabelled_near_duplicates": self.relabelled_near_duplicates,
            "near_similarity": self.near_similarity,
            "split_targets": dict(self.split_targets),
        }

    def to_metadata(self) -> dict[str, object]:
        """The counts, and the rows by source, split and label as a table."""
        return {
            "cleaning/in_rows": self.rows_in,
            "cleaning/kept_rows": self.rows_kept,
            **{f"cleaning/{kind}_duplicate_rows": rows for kind, rows in self.rows_duplicate.items()},
            "cleaning/left_out_rows": sum(self.rows_left_out.values()),
            "cleaning/left_out_sources": dict(self.rows_left_out),
            "cleaning/conflicting_texts": sum(self.conflicts.values()),
            "cleaning/undecided_conflict_texts": self.conflicts.get("tie", 0),
            "cleaning/relabelled_near_duplicate_rows": self.relabelled_near_duplicates,
            "cleaning/labels": dict(self.labels),
            "cleaning/label_sources": dict(self.label_sources),
            "cleaning/splits": dict(self.splits),
            "cleaning/languages": dict(self.languages),
            "cleaning/rows_by_source_split_label": Markdown(self._markdown()),
        }

    def _markdown(self) -> str:
        names = (*LABELS, UNLABELLED)
        lines = [f"| source | split | {' | '.join(names)} | all |", f"|---|---|{'---:|' * (len(names) + 1)}"]
        for source in self.sources:
            for split in SPLITS:
                counts = [self.split_table.get((source, split, label), 0) for label in names]
                if sum(counts):
                    cells = " | ".join(f"{count:,}" for count in [*counts, sum(counts)])
                    lines.append(f"| {source} | {split} | {cells} |")
        return "\n".join(lines)


def _nested(table: Mapping[Key, int]) -> dict[str, dict[str, dict[str, int]]]:
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for (outer, middle, inner), rows in sorted(table.items()):
        nested.setdefault(outer, {}).setdefault(middle, {})[inner] = rows
    return nested


@dataclass
class Tally:
    """Counts rows as chunks of the corpus are written."""

    reviews: Counter[Key] = field(default_factory=Counter[Key])
    kinds: Counter[str] = field(default_factory=Counter[str])
    rules: Counter[str] = field(default_factory=Counter[str])

    def add(self, kept: pl.DataFrame, duplicates: pl.DataFrame, conflicts: pl.DataFrame) -> None:
        """Counts one chunk."""
        by = ["source", "split", "label", "label_source", "language"]
        for *key, rows in kept.group_by(pl.col(by).fill_null(UNLABELLED)).len().iter_rows():
            self.reviews[tuple(key)] += rows
        self.kinds.update(dict(duplicates["kind"].value_counts().iter_rows()))
        self.rules.update(dict(conflicts["rule"].value_counts().iter_rows()))

    def report(
        self,
        rows_in: int,
        left_out: Mapping[str, int],
        relabelled: int,
        near_similarity: float,
        split_targets: Mapping[str, float],
    ) -> CorpusReport:
        """The report of the whole corpus."""
        sources, splits, labels, label_sources, languages = (self._by(column) for column in range(5))
        return CorpusReport(
            rows_in=rows_in,
            rows_kept=sum(self.reviews.values()),
            rows_duplicate={kind: self.kinds[kind] for kind in KINDS},
            rows_left_out=dict(sorted(left_out.items())),
            sources={key[0]: rows for key, rows in sources.items()},
            labels={key[0]: rows for key, rows in labels.items()},
            label_sources={key[0]: rows for key, rows in label_sources.items()},
            splits={split: splits.get((split,), 0) for split in SPLITS},
            languages={key[0]: rows for key, rows in languages.items()},
            split_table=self._by(0, 1, 2),
            label_table=self._by(0, 3, 2),
            conflicts=dict(sorted(self.rules.items())),
            relabelled_near_duplicates=relabelled,
            near_similarity=near_similarity,
            split_targets=split_targets,
        )

    def _by(self, *columns: int) -> dict[Key, int]:
        sums: Counter[Key] = Counter()
        for key, rows in self.reviews.items():
            sums[tuple(key[column] for column in columns)] += rows
        return dict(sorted(sums.items()))
