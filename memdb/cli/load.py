"""`memdb load`: the demo data into a server."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from memdb.cli.arguments import DataOptions, OnWritableServer
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, say
from memdb.cluster.client import connect
from memdb.errors import ReadOnlyTarget
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Load(DataOptions, OnWritableServer):
    """`memdb load`."""

    json: bool = option("--json", default=False, help="print what was loaded as JSON")

    def run(self) -> int:
        """Load; what is there already is left as it is.

        Raises:
            ReadOnlyTarget: the target is not writable.
            MemDBError: the server does not answer, or has no room.
        """
        settings = Settings.from_env()
        target = self.find(settings)
        if not target.writable:
            raise ReadOnlyTarget(
                "HSET",
                f"{target.name} is opened read-only; loading would write to it.",
                "Give --writable with --url, or MEMDB_WRITABLE=1 with MEMDB_URL.",
            )
        from memdb.demo import labelled, loader, second
        from memdb.demo.words import in_words

        chosen = {"docs": self.docs, "users": self.users, "sessions": self.sessions}
        sizes = {name: value for name, value in chosen.items() if value is not None}
        with connect(target) as client, ProgressBar() as bar:
            report = loader.load(client, home=settings.home, seed=self.seed, report=bar.report, **sizes)
            built = second.build(client, home=settings.home, report=bar.report)
            labels_loaded = labelled.load(client, home=settings.home, docs=self.docs, report=bar.report)
        if self.json:
            print_json(asdict(report))
        else:
            say(" ".join(filter(None, (in_words(report), built, labels_loaded))))
        return 0
