"""The table of docs/truth.md.

python -m benchmarks.truth                     every area, at most 5 minutes
python -m benchmarks.truth recall tags         some
python -m benchmarks.truth --write             into docs/truth.md
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

from benchmarks.truth.areas import AREAS
from benchmarks.truth.row import Row, markdown

PAGE = Path(__file__).parents[2] / "docs" / "truth.md"
START, END = "<!-- table: python -m benchmarks.truth --write -->", "<!-- end of table -->"


def main() -> None:
    """Run areas and print their rows; how long each took goes to the other stream."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("areas", nargs="*", metavar="AREA", help=f"{', '.join(AREAS)}; none: every one")
    options.add_argument("--write", action="store_true", help="put the table into docs/truth.md")
    given = options.parse_args()
    if unknown := sorted(set(given.areas) - set(AREAS)):
        options.error(f"there is no area '{unknown[0]}'; there are {', '.join(AREAS)}")
    if given.write and given.areas:
        options.error("--write needs every area")
    rows: list[Row] = []
    began = time.monotonic()
    for name in given.areas or AREAS:
        start = time.monotonic()
        rows += AREAS[name]()
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    table = markdown(rows)
    print(table)
    if given.write:
        where = f"{platform.machine()}, Python {platform.python_version()}"
        took = f"Made in {time.monotonic() - began:.0f} s on {where}."
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{START}\n{table}\n\n{took}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
