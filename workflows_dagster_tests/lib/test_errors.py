"""Every error says the three things, is of the builtin kind it claims to be, and survives a process boundary."""

import pickle
from collections.abc import Iterator

import pytest

from workflows_dagster.lib import errors
from workflows_dagster.lib.errors import WorkflowError


def kinds(base: type[WorkflowError] = WorkflowError) -> Iterator[type[WorkflowError]]:
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


def make(kind: type[WorkflowError]) -> WorkflowError:
    return kind("the file is empty", given="a.csv", expected="a header line", remedy="remove the file")


@pytest.mark.parametrize("kind", [WorkflowError, *kinds()])
def test_message_names_what_was_given_expected_and_next(kind: type[WorkflowError]) -> None:
    assert str(make(kind)) == "the file is empty. Given: 'a.csv'. Expected: a header line. Next: remove the file."


@pytest.mark.parametrize("kind", [WorkflowError, *kinds()])
def test_error_survives_a_process_boundary(kind: type[WorkflowError]) -> None:
    copy = pickle.loads(pickle.dumps(make(kind)))
    assert type(copy) is kind
    assert str(copy) == str(make(kind))
    assert (copy.problem, copy.given, copy.expected, copy.remedy) == (
        "the file is empty",
        "a.csv",
        "a header line",
        "remove the file",
    )


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.SourceUnreadableError, OSError),
        (errors.NotEnoughDataError, errors.DataContractError),
        (errors.NotPublishedError, LookupError),
        (errors.ConflictError, errors.StoreError),
        (errors.WebhookError, ConnectionError),
        (errors.AlreadyRunningError, BlockingIOError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_error_is_caught_as_its_builtin_kind(kind: type[WorkflowError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise make(kind)


def test_given_is_shown_so_that_types_and_blanks_can_be_told_apart() -> None:
    messages = {str(WorkflowError("p", given=given, expected="e", remedy="r")) for given in ("1", 1, " 1", None, "")}
    assert len(messages) == 5
