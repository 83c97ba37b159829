"""A made-up chain, small enough to work out by hand."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.reference import ModelReference
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.release.building import build_release
from workflows_dagster.lib.release.record import RELEASE_PATH
from workflows_dagster.lib.release.releases import Release, release_at, tag_release
from workflows_dagster.lib.schema import CORPUS_REVIEW, LABELS
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.benchmark.made_up import made_up_benchmark, made_up_report
from workflows_dagster_tests.lib.export.untried import PARITY

GATES = {"raw_reviews": ["raw_reviews_whole"], "augmented_reviews": ["augmented_reviews_whole"]}
EVERY_GATE = GATES | {
    asset: [f"{asset}_whole"]
    for asset in ("review_corpus", "training_reviews", "exported_models", "export_benchmarks", "benchmark_report")
}


class MadeUpChain:
    """Publishes versions of a chain: raw_reviews/a -> augmented_reviews -> exports -> benchmark -> report."""

    def __init__(self, folder: Path) -> None:
        self.gain = Estimate(0.1, 0.02, 0.18, 100)
        """How much better than the baseline the models of the next reports are."""
        self.store = VersionedStore(GitRepository(folder / "store.git"), folder / "work")

    def publish(
        self, path: str, files: Mapping[str, bytes | pl.DataFrame], *upstream: Version, **metadata: str
    ) -> Version:
        """Publishes one version; its one audit passes unless metadata says otherwise."""
        asset, _, partition = path.partition("/")
        given = {"asset": asset, "partition": partition, "code_version": "1", f"audit/{asset}_whole": "passed"}
        given |= {f"upstream/{version.path}": version.commit for version in upstream} | metadata
        with self.store.transaction(path, f"Materialize {path}", label=[asset], metadata=given) as transaction:
            for name, content in files.items():
                if isinstance(content, bytes):
                    transaction.write(name, content)
                else:
                    write_table(transaction.folder / name, content, CORPUS_REVIEW)
        assert transaction.version is not None
        return transaction.version

    def rows(self, table: pl.DataFrame, *upstream: Version, audit: str = "passed") -> Version:
        """augmented_reviews, and under the same rows the tables before it."""
        self.publish("review_corpus", {"reviews.parquet": table}, *upstream)
        self.publish("training_reviews", {"reviews.parquet": table}, *upstream)
        verdict = {"audit/augmented_reviews_whole": audit}
        return self.publish("augmented_reviews", {"reviews.parquet": table}, *upstream, **verdict)

    def benchmark(self, rows: Version, weights: bytes, predicted: Mapping[str, str]) -> Version:
        """The benchmark of an export made from these rows."""
        record = made_up_export(weights)
        files = {record.FILE: written(record), "model/weights": weights}
        export = self.publish("exported_models/int8", files, rows)
        truth = pl.read_parquet(self.store.file("augmented_reviews", "reviews.parquet", rows.commit))
        table = truth.filter(pl.col("review_id").is_in(list(predicted))).select("review_id", "label")
        predictions = table.with_columns(predicted=pl.col("review_id").replace_strict(dict(predicted)))
        folder = self.store.folder("augmented_reviews", rows.commit).parents[1]
        predictions.write_parquet(folder / "p.parquet")
        content = (folder / "p.parquet").read_bytes()
        return self.publish("export_benchmarks/int8", {"predictions.parquet": content}, export, rows)

    def report(self, pick: str | None, *upstream: Version) -> Artifact:
        """The report of everything it is given."""
        found = made_up_report(pick, made_up_benchmark("int8"))
        adapter = found.adapter.model_copy(update={"macro_f1_gain": self.gain})
        files = {found.FILE: written(found.model_copy(update={"adapter": adapter})), "report.html": b"<!doctype html>"}
        version = self.publish("benchmark_report", files, *upstream)
        folder = self.store.folder("benchmark_report", version.commit)
        return Artifact("benchmark_report", None, version.commit, version.digest, folder)

    def whole(
        self, table: pl.DataFrame, weights: bytes = b"\x01", predicted: Mapping[str, str] | None = None
    ) -> Artifact:
        """A chain without fault, and its report."""
        raw = self.publish("raw_reviews/a", {"reviews.txt": repr(table.rows()).encode()})
        rows = self.rows(table, raw)
        corpus, training = (self.store.version(path) for path in ("review_corpus", "training_reviews"))
        benchmark = self.benchmark(rows, weights, predicted or {})
        return self.report("int8", raw, corpus, training, rows, benchmark)

    def left_behind(self, path: str) -> str:
        """The branch of a transaction that failed."""
        before = set(self.store.repository.branches("tx-"))
        with suppress(RuntimeError), self.store.transaction(path, "m", label=[path], metadata={}) as transaction:
            transaction.write("n", b"half")
            raise RuntimeError("broken")
        (branch,) = set(self.store.repository.branches("tx-")) - before
        return branch

    def record(self, report: Artifact) -> Version:
        """The published record of a release, not tagged."""
        upstream = {f"upstream/{report.asset}": report.commit}
        with self.store.transaction(RELEASE_PATH, "Release", label=["r"], metadata=upstream) as transaction:
            build_release(self.store, report, GATES, transaction.folder)
        assert transaction.version is not None
        return transaction.version

    def release(
        self, table: pl.DataFrame, weights: bytes = b"\x01", predicted: Mapping[str, str] | None = None
    ) -> Release:
        """A tagged release of a chain without fault."""
        version = self.record(self.whole(table, weights, predicted))
        return release_at(self.store, tag_release(self.store, version), version.commit)


class ExportedChain(MadeUpChain):
    """A chain whose model can be run."""

    def __init__(self, folder: Path, exported: Path) -> None:
        super().__init__(folder)
        self.exported = exported

    def publish(
        self, path: str, files: Mapping[str, bytes | pl.DataFrame], *upstream: Version, **metadata: str
    ) -> Version:
        """The export in place of made-up bytes."""
        if path == "exported_models/int8":
            found = (file for file in self.exported.rglob("*") if file.is_file())
            files = {file.relative_to(self.exported).as_posix(): file.read_bytes() for file in found}
        return super().publish(path, files, *upstream, **metadata)


def made_up_export(weights: bytes) -> ExportRecord:
    """The record of an export with such weights."""
    return ExportRecord(
        technique="int8",
        format="onnx",
        runtime="onnxruntime",
        lossless=False,
        model=ModelReference("model/weights", weights.hex(), len(weights), len(weights), {}, LABELS, 8, 0),
        merged_sha256="0" * 64,
        details={},
        versions={},
        parity=PARITY,
    )


def written(record: Record) -> bytes:
    """The content of the file of a record."""
    with TemporaryDirectory() as folder:
        record.write(Path(folder))
        return (Path(folder) / record.FILE).read_bytes()


def reviews(*rows: tuple[str, str, str | None, str]) -> pl.DataFrame:
    """A table of reviews, each given as id, source, label and text."""
    return pl.DataFrame(
        [
            {
                "review_id": name,
                "source": source,
                "batch": "a",
                "text": text,
                "stars": None,
                "label": label,
                "label_source": "given" if label else None,
                "language": "en",
                "product_id": None,
                "group_key": name,
                "created_at": None,
                "split": "test" if label else "none",
            }
            for name, source, label, text in rows
        ]
    )
