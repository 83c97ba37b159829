"""The jobs of the chain, each over assets that share their partitions, and how their steps are executed."""

from typing import Final

import dagster as dg

PRELOADED: Final = "workflows_dagster.preload"
"""Module that the fork server imports; by name, because importing it here would do its work in this process."""

MULTIPROCESS: Final = dg.multiprocess_executor.configured(
    {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": [PRELOADED]}}},
    name="multiprocess_forkserver",
)
"""Each step in a process of its own, forked from a server that has the common imports done; two at once."""

CORPUS: Final = dg.AssetSelection.assets("review_corpus").downstream() & dg.AssetSelection.groups(
    "cleaning", "annotation", "synthesis"
)
"""From the corpus of all batches to the rows that are trained on."""

GO_ON_WITHOUT_PEOPLE: Final = {"pilot_labels": {"unfinished": "weak"}}
"""Run configuration of jobs that nobody watches: they take the answers there are, and weak labels for the rest."""

_CONFIG: Final = {"ops": {name: {"config": config} for name, config in GO_ON_WITHOUT_PEOPLE.items()}}

ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=dg.AssetSelection.assets("raw_reviews", "cleaned_reviews"),
    executor_def=MULTIPROCESS,
    description="Reads and cleans one batch of files.",
)
corpus_job = dg.define_asset_job(
    "corpus_job",
    selection=CORPUS,
    config=_CONFIG,
    executor_def=MULTIPROCESS,
    description="Brings all batches together: corpus, annotation round, synthetic rows.",
)
training_job = dg.define_asset_job(
    "training_job",
    selection=CORPUS | dg.AssetSelection.groups("finetuning"),
    config=_CONFIG,
    executor_def=MULTIPROCESS,
    description="The corpus, and a model trained on it.",
)
export_job = dg.define_asset_job(
    "export_job",
    selection=dg.AssetSelection.assets("exported_models", "export_benchmarks"),
    executor_def=MULTIPROCESS,
    description="Exports the newest model by one technique and measures it.",
)
report_job = dg.define_asset_job(
    "report_job",
    selection=dg.AssetSelection.assets("benchmark_report") | dg.AssetSelection.groups("release"),
    executor_def=MULTIPROCESS,
    description="The report on data, model, exports and the pick; where every gate was passed, a release of it.",
)

deploy_job = dg.define_asset_job(
    "deploy_job",
    selection=dg.AssetSelection.assets("deployed_release"),
    executor_def=MULTIPROCESS,
    description="Deploys the release that the configuration names, as for a rollback.",
)

JOBS: Final = [ingest_job, corpus_job, training_job, export_job, report_job, deploy_job]
