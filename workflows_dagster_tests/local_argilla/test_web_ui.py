"""The web UI of the local Argilla in a real browser: sign in, label two records, see the progress."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.argilla_server_fixture import api
from workflows_dagster_tests.local_argilla.headless_browser import Page, browser
from workflows_dagster_tests.local_argilla.pilot import make_pilot

pytestmark = pytest.mark.slow


def button(text: str) -> str:
    """The expression for a button that can be pressed."""
    return (
        f"[...document.querySelectorAll('button:enabled')].find(found => found.innerText.includes({json.dumps(text)}))"
    )


def reads(text: str) -> str:
    """The expression for a text being on the page."""
    return f"document.body && document.body.innerText.replace(/\\s+/g, ' ').includes({json.dumps(text)})"


def test_an_annotator_signs_in_labels_two_records_and_sees_progress(
    argilla_server: LocalArgilla, tmp_path: Path
) -> None:
    owner = api(argilla_server, "owner")
    pilot = make_pilot(owner, "browser", min_submitted=1)
    pilot.push(
        owner,
        [
            pilot.item(
                f"r{number}", f"Review {number}: the kettle leaks", suggestions={"label": ("negative", 0.9, "model-a")}
            )
            for number in range(4)
        ],
    )
    account = argilla_server.credentials.annotators[0]
    with browser() as page:
        page.open(argilla_server.url)
        page.type("input[name=Username]", account.username)
        page.type("input[name=Password]", account.password)
        page.click(button("Sign in"))
        page.click("[...document.querySelectorAll('a')].find(found => found.innerText.includes('browser'))")
        page.wait_for(reads("1 of 4"))
        page.picture(tmp_path / "before.png")
        label_one(page, "positive", submitted=1)
        label_one(page, "negative", submitted=2)
        page.wait_for(reads("50.00%"))
        page.picture(tmp_path / "after.png")
        hosts = {urlsplit(address).netloc for address in page.requests.values()}

    assert pilot.progress(owner) == {"total": 4, "completed": 2, "pending": 2}
    assert pilot.own_progress(api(argilla_server, account.username))["submitted"] == 2
    assert hosts == {urlsplit(argilla_server.url).netloc}, "the UI asks nobody else for anything"


def label_one(page: Page, label: str, *, submitted: int) -> None:
    """Chooses a label, submits, and waits until another record is there to judge."""
    page.wait_for(f"document.querySelector('#label_{label}')")
    shown = page.evaluate("document.body.innerText.match(/Review [0-9]/)[0]")
    if not page.evaluate(f"document.querySelector('#label_{label}').checked"):
        page.click(f"document.querySelector('#label_{label}')")
    page.click(button("Submit"))
    page.wait_for(reads(f"Submitted {submitted}"))
    page.wait_for(f"!({reads(shown)})")
