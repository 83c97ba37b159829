"""The errors that this project raises on purpose. Each says what was given, what was expected and what to do next."""


class WorkflowError(Exception):
    """Base of the errors raised on purpose.

    Args:
        problem: What went wrong, one clause.
        given: The value that was refused. It is shown, so it must not be a secret.
        expected: What would have been accepted.
        remedy: What the reader should do next.
    """

    def __init__(self, problem: str, *, given: object, expected: str, remedy: str) -> None:
        super().__init__(f"{problem}. Given: {given!r}. Expected: {expected.rstrip('.')}. Next: {remedy.rstrip('.')}.")
        self.problem = problem
        self.given = given
        self.expected = expected
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Keeps the keyword arguments when the error crosses a process boundary."""
        return _rebuild, (type(self), self.problem, self.given, self.expected, self.remedy)


def _rebuild(kind: type[WorkflowError], problem: str, given: object, expected: str, remedy: str) -> WorkflowError:
    return kind(problem, given=given, expected=expected, remedy=remedy)


class ConfigurationError(WorkflowError, ValueError):
    """A setting, sources.yaml or run configuration that cannot be used."""


class SourceUnreadableError(WorkflowError, OSError):
    """A source file that is missing, refused, of another format, or changed since its batch was made."""


class DataContractError(WorkflowError, ValueError):
    """A table that breaks the schema or an invariant between stages."""


class NotEnoughDataError(DataContractError):
    """Too few rows, classes or labels for the step to have a meaningful result."""


class StoreError(WorkflowError):
    """The versioned store could not do what was asked."""


class NotPublishedError(StoreError, LookupError):
    """A path, commit or file that the store does not hold."""


class ConflictError(StoreError):
    """Another writer published the same path in the meantime."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The versioned store does not answer, or has no room left; trying again later may succeed."""


class StorePermissionError(StoreError):
    """The versioned store refused the credentials, or does not permit what was asked."""


class IntegrityError(StoreError):
    """Content whose digest is not the recorded one. It was not loaded."""


class ModelReferenceError(WorkflowError, ValueError):
    """A model reference that does not resolve to the weights it names."""


class WebhookError(WorkflowError, ConnectionError):
    """A webhook that refused a message, or did not answer."""


class AlreadyRunningError(WorkflowError, BlockingIOError):
    """Another process is doing this work; trying again later may succeed."""


class AcceleratorUnavailableError(WorkflowError, RuntimeError):
    """A device that was asked for by name and is not there."""


class QualityGateError(WorkflowError):
    """A blocking audit failed, so the output was not published."""


class MissingExtraError(WorkflowError, ImportError):
    """An optional package that is needed and not installed."""


class AnnotationError(WorkflowError):
    """The annotation server could not do what was asked."""


class AnnotationUnavailableError(AnnotationError, ConnectionError):
    """The annotation server does not answer; trying again later may succeed."""


class AnnotationPermissionError(AnnotationError):
    """The annotation server refused the key, or does not permit its user what was asked."""


class AnnotationVersionError(AnnotationError):
    """What answers is not an annotation server of a version that this project supports."""


class RoundUnknownError(WorkflowError, LookupError):
    """An annotation round that the desk does not hold: it was never requested, or was removed."""


class RoundUnfinishedError(WorkflowError):
    """An annotation round that people have not finished, in a run whose configuration does not say to go on."""


class GenerationError(WorkflowError):
    """A generator that did not make exactly what was asked for."""


class WorkerFailedError(WorkflowError, RuntimeError):
    """A process that was started for one piece of work and crashed, was killed, or gave no answer."""
