"""Tell an address of the operator's own when an alert is raised or clears.

The address comes from the environment alone: it may carry a secret, and a visitor of the app must not make
this machine call others.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import asdict

import urllib3

from memdb import http_address
from memdb.errors import BadSettings
from memdb.json_text import json_text
from memdb.operations.alerts import Change
from memdb.operations.events import Event

_TIMEOUT = urllib3.Timeout(connect=3.0, read=5.0)
_TRIES, _WAIT_S = 3, 2.0


class Webhook:
    """Sends from a thread of its own, so that a slow receiver delays no sample.

    Raises:
        BadSettings: the address is no http(s) one.
    """

    def __init__(self, url: str) -> None:
        parts = http_address.parts_of(url)
        if parts is None:
            raise BadSettings(
                "MEMDB_WEBHOOK is no http(s) address.", "Write it like https://host/path, or leave it out."
            )
        self.host = str(parts.hostname)
        self._url = url
        self._waiting: queue.Queue[tuple[str, Change]] = queue.Queue(maxsize=100)
        self._failed: queue.Queue[Event] = queue.Queue(maxsize=100)
        threading.Thread(target=self._run, name="webhook", daemon=True).start()

    def send(self, target: str, change: Change) -> None:
        """Queue one; dropped where a hundred wait already, which the events then tell."""
        try:
            self._waiting.put_nowait((target, change))
        except queue.Full:
            self._fail(change, "a hundred wait already")

    def failures(self) -> tuple[Event, ...]:
        """What could not be delivered since the last call."""
        failures = []
        while not self._failed.empty():
            failures.append(self._failed.get_nowait())
        return tuple(failures)

    def _run(self) -> None:
        with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as pool:
            while True:
                target, change = self._waiting.get()
                body = json_text(message(target, change)).encode()
                problem = ""
                for tried in range(_TRIES):
                    if tried:
                        time.sleep(_WAIT_S)
                    problem = self._post(pool, body)
                    if not problem:
                        break
                if problem:
                    self._fail(change, problem)

    def _post(self, pool: urllib3.PoolManager, body: bytes) -> str:
        try:
            reply = pool.request(
                "POST", self._url, body=body, headers={"Content-Type": "application/json"}, redirect=False
            )
        except urllib3.exceptions.HTTPError as exc:
            return type(exc).__name__  # its text holds the address, and so perhaps a secret
        return "" if reply.status < 300 else f"it answered {reply.status}"

    def _fail(self, change: Change, why: str) -> None:
        text = f"{self.host} could not be notified: {why}"
        event = Event(time.time(), change.alert.node, "webhook", change.alert.name, text)
        try:
            self._failed.put_nowait(event)
        except queue.Full:
            return  # a hundred tell the same


def message(target: str, change: Change) -> dict[str, object]:
    """The body: `text` for chat tools, the rest for programs."""
    word = "raised" if change.raised else "cleared"
    alert = change.alert
    text = f"{target}: {alert.name} on {alert.node} {word} ({alert.level}). {alert.saw}. {alert.todo}".strip()
    return {"text": text, "state": word, "target": target, "alert": asdict(alert)}
