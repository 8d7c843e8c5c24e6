"""Telling another system of alerts: one CloudEvent by HTTP POST, tried again, never a reason to fail."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from callscan.errors import UsageError
from callscan.report.contract import Alert, Report

PAUSES = (1.0, 4.0, 15.0)
"""Seconds before each further try."""

TIMEOUT = 10.0
"""Seconds one try may take."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The alerts go to the address that was given, and to no other."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def event(report: Report, alerts: Sequence[Alert]) -> bytes:
    """A CloudEvent 1.0 in structured JSON mode (https://github.com/cloudevents/spec). Its id is made from its data, so
    that a receiver told twice of the same alerts can tell."""
    data = {"coverage": report.coverage, "calls": report.calls, "alerts": list(alerts)}
    digest = sha256(msgspec.json.encode([data, report.lexicon.digest], order="sorted")).hexdigest()
    envelope = {
        "specversion": "1.0",
        "id": digest,
        "source": "urn:callscan",
        "type": "callscan.alerts",
        "subject": report.last_day or "",
        "datacontenttype": "application/json",
        "dataschema": f"urn:callscan:report:{report.schema_version}",
        "data": data,
    }
    return msgspec.json.encode(envelope, order="sorted")


def send(url: str, report: Report, alerts: Sequence[Alert], sleep: Callable[[float], None] = time.sleep) -> str | None:
    """POST the alerts to ``url``; what went wrong in the end, or None. A refusal (4xx) is not tried again."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"{url} is no http(s) address", "as in https://example.com/hook")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url,
        data=event(report, alerts),
        headers={"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": "callscan"},
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirect())
    trouble = ""
    for pause in (0.0, *PAUSES):
        sleep(pause)
        try:
            with opener.open(request, timeout=TIMEOUT):
                return None
        except urllib.error.HTTPError as error:
            trouble = f"{url} answered {error.code}"
            if error.code < 500 and error.code not in (408, 429):
                return trouble
        except (OSError, http.client.HTTPException, ValueError) as error:
            trouble = f"{url}: {getattr(error, 'reason', error)}"
    return trouble
