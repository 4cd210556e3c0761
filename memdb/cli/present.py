"""`memdb present`: what the presentation shows, made before somebody looks on."""

from __future__ import annotations

import os
from dataclasses import dataclass

from memdb.cli.arguments import OnServer
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, say
from memdb.cluster.client import connect
from memdb.settings import Settings

_BACKGROUND = 10  # niceness: whoever uses the machine meanwhile goes first
MISSING = 1


@dataclass(frozen=True, kw_only=True)
class Present(OnServer):
    """`memdb present`."""

    index: str = option(
        "--index", default="", metavar="NAME", help="default: the largest of the local model's vectors"
    )
    prepare: bool = option(
        "--prepare",
        default=False,
        help="make map and curve now, at low priority, and keep them: each step then opens at once",
    )
    json: bool = option("--json", default=False, help="print what is ready as JSON")

    def run(self) -> int:
        """Prepare, or say what that would do; 1 where a part could not be made.

        Raises:
            MemDBError: the server does not answer, or has no index with vectors.
        """
        settings = Settings.from_env()
        target = self.find(settings)
        if not self.prepare:
            say(
                "The presentation is the page Present of the app: `memdb app`, then /present.\n"
                "`memdb present --prepare` makes its map and its curve beforehand. Nothing is written to the "
                "server."
            )
            return 0
        os.nice(_BACKGROUND)
        from memdb.embedding import local
        from memdb.story import prepare
        from memdb.vectors.index import index_info

        with connect(target) as client, ProgressBar() as bar:
            name = self.index or prepare.fitting_index(client, local.DIMENSION)
            ready = prepare.prepare(client, index_info(client, name), settings.home, report=bar.report)
        if self.json:
            print_json(
                {
                    "index": name,
                    "ready": [part for part in prepare.PARTS if ready.ready(part)],
                    "problems": {part: exc.full() for part, exc in ready.problems.items()},
                }
            )
        else:
            for part, words in prepare.PARTS.items():
                problem = ready.problems.get(part)
                say(f"{words}: ready" if problem is None else f"{words}: not ready. {problem.full()}")
        return MISSING if ready.problems else 0
