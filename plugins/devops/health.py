"""Asks an app over HTTP whether it is well, until it is or its time is over."""

import http.client
import threading
import time
import urllib.error
import urllib.request

MAX_BODY = 64 * 1024
#: Seconds that one request may take.
REQUEST_LIMIT = 5.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: its status is compared."""

    def redirect_request(self, *_):
        return None


# An app is asked directly: a proxy would answer for it when it is down.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def wait_until_healthy(health, version, seconds=None):
    """Asks again and again for at most `seconds` (default: the configured time).

    Returns what was seen last: `healthy`, `url`, `status`, `attempts`, `seconds`, and `fault` if it is not healthy.
    """
    began = time.monotonic()
    limit = health.timeout if seconds is None else seconds
    attempts, pause = 0, 0.1
    answered = None
    while True:
        attempts += 1
        left = limit - (time.monotonic() - began)
        status, fault = _ask_within(health, version, min(REQUEST_LIMIT, max(left, 0.1)))
        if status is not None:
            answered = status, fault
        passed = time.monotonic() - began
        if fault is None or passed >= limit:
            break
        time.sleep(min(pause, limit - passed))
        pause = min(pause * 1.5, 1.0)
    if status is None and answered is not None and left < REQUEST_LIMIT:
        # The last request had no time: what the app said before tells more.
        status, fault = answered
    seen = {
        "healthy": fault is None,
        "url": health.url,
        "status": status,
        "attempts": attempts,
        "seconds": round(passed, 2),
    }
    if fault is not None:
        seen["fault"] = fault
    return seen


def _ask_within(health, version, seconds):
    """In a thread of its own: a server that sends a byte now and then would outlast any limit of a socket."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(_ask(health, version, seconds)), daemon=True)
    asking.start()
    asking.join(seconds + 0.2)
    return answers[0] if answers else (None, "no answer within {:.1f} s".format(seconds))


def _ask(health, version, seconds):
    """The status and the fault; one of them is `None` when the other tells all."""
    try:
        request = urllib.request.Request(health.url, headers=dict({"User-Agent": "smcp-devops"}, **health.headers))
        try:
            answer = _OPENER.open(request, timeout=seconds)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            status = answer.getcode()
            body = answer.read(MAX_BODY) if health.contains else b""
    except urllib.error.URLError as fault:
        return None, "no answer: {}".format(fault.reason)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        return None, "no answer: {}".format(fault or type(fault).__name__)
    if status != health.status:
        return status, "status {}, not {}".format(status, health.status)
    if health.contains:
        wanted = health.contains.replace("{version}", version or "")
        if wanted not in body.decode("utf-8", "replace"):
            return status, "its answer does not contain {!r}".format(wanted)
    return status, None
