"""The desk on a real Argilla server does what every desk does."""

import pytest

from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.lib.annotation import desk_contract as contract
from workflows_dagster_tests.lib.annotation.argilla_bench import ArgillaBench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(argilla_server: LocalArgilla) -> ArgillaBench:
    return ArgillaBench(argilla_server)


@pytest.mark.parametrize("name", contract.CASES)
def test_progress_follows_the_answers(bench: ArgillaBench, name: str) -> None:
    contract.check_progress(bench, name)


def test_request_again_keeps_answers(bench: ArgillaBench) -> None:
    contract.check_request_again(bench, "again")


def test_changed_answer_replaces_the_first(bench: ArgillaBench) -> None:
    contract.check_changed_answer(bench, "changed")


def test_changed_sample_is_another_round(bench: ArgillaBench) -> None:
    contract.check_changed_sample(bench, "sample")


def test_answer_to_a_strange_review_does_not_count(bench: ArgillaBench) -> None:
    contract.check_strange_review(bench, "strange")


def test_round_may_ask_something_else(bench: ArgillaBench) -> None:
    contract.check_other_choices(bench, "choices")
