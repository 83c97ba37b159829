"""When runs start by themselves."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from workflows_dagster.schedules import SCHEDULES, corpus_nightly, maintenance_weekly, training_weekly

SUNDAY_NIGHT = datetime(2026, 3, 1, 3, tzinfo=ZoneInfo("UTC"))


@pytest.fixture
def fresh() -> Iterator[dg.DagsterInstance]:
    """An instance without batches; schedules see none that lives in memory only."""
    with dg.instance_for_test() as instance:
        yield instance


def tick(schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance) -> tuple[int, str | None]:
    """Number of runs that a tick requests, and why not where there are none."""
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=SUNDAY_NIGHT)
    data = schedule.evaluate_tick(context)
    return len(data.run_requests or []), data.skip_message


def test_schedules_of_data_skip_until_a_batch_was_ingested(fresh: dg.DagsterInstance) -> None:
    schedules = [corpus_nightly, training_weekly, maintenance_weekly]
    ticks = [tick(schedule, fresh) for schedule in schedules]
    assert [runs for runs, _ in ticks] == [0, 0, 1]
    assert all("no batch of reviews" in str(why) for _, why in ticks[:2])
    fresh.add_dynamic_partitions("batch", ["shop-1"])
    assert [tick(schedule, fresh) for schedule in schedules] == [(1, None)] * 3


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_schedule_says_its_timezone_and_is_switched_on_by_hand(schedule: dg.ScheduleDefinition) -> None:
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.description


def test_corpus_and_training_do_not_meet() -> None:
    """Training makes the corpus anew itself: two writers of one asset would end in a conflict."""
    days = {str(schedule.cron_schedule).split()[-1] for schedule in (corpus_nightly, training_weekly)}
    assert days == {"1-6", "0"}
