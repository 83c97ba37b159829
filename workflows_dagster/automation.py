"""What follows by itself when data has changed, and why the rest does not.

| assets | made again when | by |
|---|---|---|
| raw_reviews, cleaned_reviews | files or commits are new | the ingest sensors, one run for each batch |
| review_corpus | at night | corpus_nightly: each of many batches of a day would make all of it anew |
| annotation, synthesis | what they are made of has changed | `refresh_changed_data_sensor` |
| pilot_labels | people have finished a round, or changed answers of it | `refresh_changed_data_sensor` |
| finetuning | once a week | training_weekly: it takes hours, whatever has changed |
| export, benchmark | a model is new | the sensors after training |

A job that makes several of them makes them in one run: while that is under way, nothing is requested of what it will
make, and afterwards they count as handled. So no schedule and this sensor ever start the same work.
"""

from typing import Final

import dagster as dg

FOLLOWING: Final = ("annotation", "synthesis")
"""Groups whose assets follow what they are made of: minutes of work, in which people's answers should show at once."""

_WORK_OF_PEOPLE: Final = dg.AssetSelection.assets("pilot_responses")
_OPTIONAL_WORK: Final = dg.AssetSelection.assets("synthetic_review_responses")
_EARLIER: Final = dg.AssetSelection.assets("earlier_answers", "earlier_release")
"""What a round was begun with. It is there from the second round on, and a round under way keeps what it began with."""

_CHANGED: Final = dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()

ON_CHANGED_DATA: Final = (
    dg.AutomationCondition.any_deps_match(_CHANGED).ignore(_EARLIER).since_last_handled()
    # Nobody has to review synthetic rows: what follows goes on without, and says so.
    & ~dg.AutomationCondition.any_deps_missing().ignore(_OPTIONAL_WORK | _EARLIER)
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    # It would fail again: a person has to look at it, or the next scheduled run brings other data.
    & ~dg.AutomationCondition.execution_failed()
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("on_changed_data")
"""The content of something upstream has changed. Materialized again with the same content, it requests nothing."""

ON_ANSWERS: Final = (
    dg.AutomationCondition.any_deps_match(_CHANGED).allow(_WORK_OF_PEOPLE).since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    # Also where the last run failed: one that was started by hand fails as long as people have not finished.
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("on_answers")
"""People have finished a round, or changed their answers since. A new round alone is not theirs to answer at once."""

refresh_changed_data_sensor = dg.AutomationConditionSensorDefinition(
    "refresh_changed_data_sensor",
    target=dg.AssetSelection.groups(*FOLLOWING),
    minimum_interval_seconds=30,
    description="Makes annotation and synthesis anew when the content of what they are made of has changed, "
    "as when annotators have finished.",
)
