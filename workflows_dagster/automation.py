"""What follows by itself when data has changed, and why the rest does not.

| assets | made again when | by |
|---|---|---|
| raw_reviews, cleaned_reviews | files or commits are new | the ingest sensors, one run for each batch |
| review_corpus | at night | corpus_nightly: each of many batches of a day would make all of it anew |
| annotation, synthesis | what they are made of has changed | `refresh_changed_data_sensor` |
| pilot_labels | people have finished a round, or changed answers of it | `refresh_changed_data_sensor` |
| finetuning | once a week | training_weekly: it takes hours, whatever has changed |
| export, benchmark, release | a model is new | `follow_new_model_sensor` |

Each asset names its condition where it is declared. A job that makes several of them makes them in one run: while that
is under way, nothing is requested of what it will make, and afterwards they count as handled. So no schedule and no
sensor ever start the same work. A model that was made again with the same content is the same model.
"""

from typing import Final

import dagster as dg

_WORK_OF_PEOPLE: Final = dg.AssetSelection.assets("pilot_responses")
_OPTIONAL_WORK: Final = dg.AssetSelection.assets("synthetic_verdicts")
_EARLIER: Final = dg.AssetSelection.assets("earlier_answers", "earlier_release")
"""What a round was begun with. It is there from the second round on, and a round under way keeps what it began with."""
_MODEL: Final = dg.AssetSelection.assets("merged_model")
_EXPORTS: Final = dg.AssetSelection.assets("exported_models")
_BENCHMARKS: Final = dg.AssetSelection.assets("export_benchmarks")

_VERSION_CHANGED: Final = dg.AutomationCondition.data_version_changed()
_CHANGED: Final = _VERSION_CHANGED | dg.AutomationCondition.will_be_requested()
_NEVER_MADE: Final = dg.AutomationCondition.missing().newly_true()
_HANDLED: Final = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
"""Unlike `since_last_handled`, the first look of a sensor that was just switched on does not count as handled."""
_IDLE: Final = ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
_SOUND: Final = dg.AutomationCondition.all_deps_blocking_checks_passed()
"""Not asked of exports and what follows them: Dagster keeps one state of a check over all partitions, so one technique
that fails would hold up the others. Nothing that failed a blocking check is ever published, and so never followed."""

_DEPS_MISSING: Final = dg.AutomationCondition.any_deps_missing()

ON_CHANGED_DATA: Final = (
    dg.AutomationCondition.any_deps_match(_CHANGED).ignore(_EARLIER).since_last_handled()
    # Nobody has to review synthetic rows: what follows goes on without, and says so.
    & ~_DEPS_MISSING.ignore(_OPTIONAL_WORK | _EARLIER)
    # It would fail again: a person has to look at it, or the next scheduled run brings other data.
    & ~dg.AutomationCondition.execution_failed()
    & _IDLE
    & _SOUND
).with_label("on_changed_data")
"""The content of something upstream has changed. Materialized again with the same content, it requests nothing."""

ON_ANSWERS: Final = (
    # Also where the last run failed: one that was started by hand fails as long as people have not finished.
    dg.AutomationCondition.any_deps_match(_CHANGED).allow(_WORK_OF_PEOPLE).since_last_handled()
    & ~_DEPS_MISSING
    & _IDLE
    & _SOUND
).with_label("on_answers")
"""People have finished a round, or changed their answers since. A new round alone is not theirs to answer at once."""


def _on_new(selection: dg.AssetSelection, label: str) -> dg.AutomationCondition[dg.AssetKey]:
    """Something selected has other content, or this was never made. What failed is not tried again with the same."""
    changed = dg.AutomationCondition.any_deps_match(_CHANGED).allow(selection)
    return ((changed | _NEVER_MADE).since(_HANDLED) & ~_DEPS_MISSING & _IDLE).with_label(label)


ON_NEW_MODEL: Final = _on_new(_MODEL, "on_new_model")
"""A model is new, or a technique."""

ON_NEW_EXPORT: Final = _on_new(_EXPORTS, "on_new_export")
"""The export by this technique is new."""

ON_NEW_REPORT: Final = _on_new(dg.AssetSelection.all(), "on_new_report")
"""The report, or the release made of it, is new."""

ON_NEW_BENCHMARKS: Final = (
    (dg.AutomationCondition.any_deps_match(_VERSION_CHANGED).allow(_BENCHMARKS) | _NEVER_MADE).since(_HANDLED)
    # Another technique is still to come. One that has failed is left out of the report, which names it.
    & ~dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested())
    & ~dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.missing() & ~dg.AutomationCondition.execution_failed()
    )
    & dg.AutomationCondition.any_deps_match(~dg.AutomationCondition.missing()).allow(_BENCHMARKS)
    & _IDLE
).with_label("on_new_benchmarks")
"""Every technique has been measured on the newest model, or has failed."""

refresh_changed_data_sensor = dg.AutomationConditionSensorDefinition(
    "refresh_changed_data_sensor",
    target=dg.AssetSelection.groups("annotation", "synthesis"),
    minimum_interval_seconds=30,
    description="Makes annotation and synthesis anew when the content of what they are made of has changed, "
    "as when annotators have finished.",
)
follow_new_model_sensor = dg.AutomationConditionSensorDefinition(
    "follow_new_model_sensor",
    target=dg.AssetSelection.groups("export", "benchmark", "release"),
    minimum_interval_seconds=60,
    description="Exports and measures a new model by each technique; then makes the report, once each technique was "
    "measured or has failed, and the release.",
)
