"""`argilla` and `argilla-webhook`: a real Argilla on this machine, and a listener to the webhooks of any Argilla.

The listener notices within seconds that people have finished a round; the sensors would at their next tick.
"""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from workflows_dagster.cli.opening import open_settings
from workflows_dagster.cli.screen import console
from workflows_dagster.lib.errors import AnnotationUnavailableError, ConfigurationError, RoundUnknownError
from workflows_dagster.local_argilla import DEFAULT_PORT

if TYPE_CHECKING:
    import dagster as dg

    from workflows_dagster.lib.annotation.argilla.webhook import Listener
    from workflows_dagster.lib.annotation.desk import AnnotationDesk
    from workflows_dagster.resources.annotation import ArgillaAnnotation
    from workflows_dagster.sensors.people import PeopleAtWork
    from workflows_dagster.settings import Settings

WEBHOOK_PORT: Final = 6910
_POLL_S: Final = 0.5
_GATHER_S: Final = 1.0
"""Time to wait after a message, so that messages close together cause one look."""


def argilla(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    home: Annotated[
        Path | None, typer.Option(help="Folder of its data. Default: `argilla` in this deployment's folder.")
    ] = None,
    annotators: Annotated[
        int | None, typer.Option(min=1, max=100, help="Least number of annotators. Default: 3 at first start.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(help="Workspace, created if missing. Default: `reviews`, or that of the last start.")
    ] = None,
) -> None:
    """Start a local Argilla with its web UI, for pilots of a few thousand records. Ctrl-C ends it."""
    from workflows_dagster.local_argilla.launch import run_argilla

    run_argilla(
        home or open_settings().home / "argilla",
        port=port,
        annotators=annotators,
        workspace=workspace,
        say=lambda line: console.print(escape(line), highlight=False),
    )


def argilla_webhook(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = WEBHOOK_PORT,
    host: Annotated[str, typer.Option(help="Address of this machine to listen on.")] = "127.0.0.1",
    url: Annotated[
        str | None, typer.Option(help="Address that Argilla reaches it at. Default: http://<host>:<port>.")
    ] = None,
) -> None:
    """Listen to Argilla's webhooks and record a finished round at once. Needs an owner's key. Ctrl-C ends it."""
    from workflows_dagster.instance import project_instance
    from workflows_dagster.lib.annotation.argilla.webhook import listening, registered

    settings = open_settings()
    annotation = _argilla_of(settings)
    # SIGTERM ends it as Ctrl-C does, so that the webhook does not stay registered.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with project_instance(settings) as instance, listening(host, port) as listener:
        server = annotation.server()
        with registered(server, url or f"http://{host}:{listener.port}") as secret:
            listener.secret = secret
            console.print(f"Listening on {host}:{listener.port} to {escape(server.url)}. Ctrl-C ends it.")
            _look_whenever_heard(listener, instance, annotation.desk())
            console.print("Ended. The sensor goes on looking at its own pace.")


def look_once(people: "PeopleAtWork", instance: "dg.DagsterInstance", desk: "AnnotationDesk") -> str:
    """The finding of one look at the round, or why there is none: the sensor looks again later."""
    try:
        found = people.record_closed_round(instance, desk)
    except (AnnotationUnavailableError, RoundUnknownError) as error:
        found = str(error)
    return f"{people.responses}: {found}"


def _look_whenever_heard(listener: "Listener", instance: "dg.DagsterInstance", desk: "AnnotationDesk") -> None:
    """Looks after each message, until Ctrl-C or SIGTERM."""
    from workflows_dagster.sensors.pilot_responses import ANNOTATORS
    from workflows_dagster.sensors.synthetic_verdicts import REVIEWERS

    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # A note, no exception: one that is raised inside a callback of the garbage collector is lost.
        signal.signal(number, lambda number, _: ended.append(number))
    while not ended:
        if not listener.heard.wait(_POLL_S):
            continue
        time.sleep(_GATHER_S)
        # Before the look: answers that come during it cause another one.
        listener.heard.clear()
        for people in (ANNOTATORS, REVIEWERS):
            console.print(escape(look_once(people, instance, desk)), highlight=False)


def _argilla_of(settings: "Settings") -> "ArgillaAnnotation":
    """The Argilla of a deployment.

    Raises:
        ConfigurationError: People annotate elsewhere.
    """
    from workflows_dagster.resources.annotation import ArgillaAnnotation
    from workflows_dagster.resources.registry import build_resources

    found = build_resources(settings)["annotation_desk"]
    if not isinstance(found, ArgillaAnnotation):
        raise ConfigurationError(
            "only Argilla has webhooks",
            given=f"WORKFLOWS_DAGSTER_ANNOTATION={settings.annotation}",
            expected="argilla",
            remedy="set WORKFLOWS_DAGSTER_ANNOTATION=argilla with its address and key, or rely on the sensor alone",
        )
    return found
