"""What failed in a whole run is tried once more, alone; both results are said, and a few is all that is forgiven.

    python tests/again.py        # after `pytest`, from the project's folder; `make test` does it

A busy machine can delay a browser or an engine past a patience that is long enough elsewhere. A fault of the product fails
again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FORGIVEN = 8
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """0 where every test that failed passes alone, 1 otherwise."""
    names = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(names) <= FORGIVEN or not all("::" in name for name in names):
        print(f"Failed: {len(names)}. None is tried again (at most {FORGIVEN} tests are).")
        return 1
    print("Failed beside other tests, now tried alone:", *names, sep="\n  ", flush=True)
    if subprocess.run([sys.executable, "-m", "pytest", "-q", *names], check=False).returncode:
        return 1
    print("Passed alone, failed beside others (make them wait for what they need):", *names, sep="\n  ")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
