"""Posts JSON to one webhook: a chat channel, a pager, whatever takes HTTP."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from workflows_dagster.lib.errors import ConfigurationError, WebhookError


class WebhookResource(dg.ConfigurableResource["WebhookResource"]):
    """A webhook, or the absence of one. Its URL is a secret: neither errors nor logs show more than the host."""

    url: str | None = Field(
        default=None, description="Where to post; pass a dg.EnvVar, so that the UI shows its name only. None: nowhere."
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Address of the Dagster UI for those who read the messages."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="How long one attempt may take.")
    attempts: int = Field(default=3, ge=1, le=10, description="How often to try where no answer comes at all.")
    pause_s: float = Field(default=0.5, ge=0, description="Pause before the second attempt; doubled before each next.")

    def post(self, payload: Mapping[str, object]) -> bool:
        """Posts a payload as JSON and returns whether there was anywhere to post it to.

        Raises:
            ConfigurationError: The URL is not an HTTP one.
            WebhookError: The webhook refused the payload, or did not answer in any attempt.
        """
        if self.url is None:
            return False
        body = json.dumps(payload).encode()
        request = urllib.request.Request(_checked(self.url), body, {"Content-Type": "application/json"}, method="POST")
        attempt = 1
        while True:
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s):
                    return True
            except urllib.error.HTTPError as error:
                error.close()
                # An answer is an answer: the same payload would be refused again, or be posted twice.
                raise self._failed(f"it answered {error.code} {error.reason}") from None
            except OSError as error:
                if attempt == self.attempts:
                    raise self._failed(f"{attempt} attempts without an answer, the last: {error}") from None
            time.sleep(self.pause_s * 2 ** (attempt - 1))
            attempt += 1

    def _failed(self, how: str) -> WebhookError:
        return WebhookError(
            f"the webhook at {urlsplit(self.url or '').hostname} did not take the message",
            given=how,
            expected="an answer between 200 and 299",
            remedy="check the webhook's address and that its server is up; the failed run itself is in the Dagster UI",
        )


def _checked(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in {"http", "https"}:
        raise ConfigurationError(
            "the webhook's URL cannot be posted to",
            given=f"scheme {scheme!r}",
            expected="http or https",
            remedy="set WORKFLOWS_DAGSTER_ALERT_WEBHOOK_URL to the whole URL, or unset it",
        )
    return url
