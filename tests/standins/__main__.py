"""A stand-in to look at, or to run tests against: python -m tests.standins valkey-search|memorydb."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from memdb.cluster import engine
from tests.standins import memorydb, valkey_search

_SERVED = {"valkey-search": valkey_search, "memorydb": memorydb}


def main(name: str) -> None:
    """Serve it over an empty engine until Ctrl-C."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = stack.enter_context(engine.start(folder, log=False))
        running.wait_ready()
        standin = stack.enter_context(_SERVED[name](running.target))
        sys.stdout.write(f"{standin.target.url}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in _SERVED]:
        sys.exit(f"Name one of {', '.join(_SERVED)}.")
    main(sys.argv[1])
