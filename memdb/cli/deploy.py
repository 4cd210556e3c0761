"""`memdb deploy`: the templates of the app beside a cluster, filled in from what AWS tells. Only reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from memdb.cli.options import Command, option
from memdb.cli.output import print_json, print_table, say
from memdb.cluster.discover import SERVICES, Service
from memdb.cluster.rights import parse
from memdb.errors import BadInput
from memdb.hosting import cost, place, versions, write
from memdb.hosting.place import STYLES, Style
from memdb.settings import Settings
from memdb.sizing import catalogue


@dataclass(frozen=True, kw_only=True)
class Deploy(Command):
    """`memdb deploy`."""

    cluster: str = option("--cluster", required=True, metavar="NAME", help="AWS's name of the cluster")
    region: str = option("--region", required=True, metavar="R", help="e.g. eu-west-1")
    style: Style = option(
        "--style", default="host", choices=STYLES, help="an instance for one person, or containers for a team"
    )
    out: str = option("--out", required=True, metavar="DIR", help="new or empty folder for the files")
    user: str = option(
        "--user",
        default="",
        metavar="NAME",
        help="of the cluster; logs in with IAM (default: the only one that does)",
    )
    service: Service = option("--service", default="memorydb", choices=SERVICES)
    subnets: str = option(
        "--subnets",
        default="",
        metavar="A,B",
        help="for the app (default: those of the cluster that fit)",
    )
    who: str = option(
        "--who",
        default="",
        metavar="RULE",
        help="who may look, of a team, as claim=value: 'email=*@example.com'",
    )
    write: str = option(
        "--write",
        default="",
        metavar="RULE",
        help="who may write, of a team (default: nobody)",
    )
    wheel: str = option(
        "--wheel",
        default="",
        metavar="FILE",
        help="that a host installs, memdb_explorer-….whl (default: that of this version in ./dist)",
    )
    bucket: str = option("--bucket", default="", metavar="NAME", help="that a host fetches the wheel from")
    image: str = option("--image", default="", metavar="NAME", help="of the container, in your registry")
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Ask AWS, say what it costs, write the files."""
        out = Path(self.out).expanduser().absolute()
        write.check_folder(out)
        access = self._access()
        wheel = self._wheel()
        described = place.read(
            self.cluster,
            self.region,
            user=self.user,
            style=self.style,
            service=self.service,
            subnets=[name.strip() for name in self.subnets.split(",") if name.strip()],
        )
        parameters = {"BundleBucket": self.bucket} if self.style == "host" else {"Image": self.image}
        filled = write.values(described, self.style, access, {name: v for name, v in parameters.items() if v})
        month = cost.month(self.style, self.region, catalogue.load())
        written = write.write(out, self.style, write.texts(described, self.style, filled), wheel)
        open_values = write.still_open(self.style, filled, wheel)
        commands = write.commands(described, self.style, out, filled, wheel)
        if self.json:
            print_json(
                {
                    "cluster": self.cluster,
                    "style": self.style,
                    "parameters": filled,
                    "still_open": open_values,
                    "month": {
                        "usd": round(month.usd, 2),
                        "grade": month.grade,
                        "date": month.oldest,
                        "region": month.region,
                        "parts": [asdict(part) for part in month.parts],
                    },
                    "files": [str(path) for path in written],
                    "commands": commands,
                    "notes": described.notes,
                }
            )
            return 0
        rows = [(p.what, f"{p.usd:,.2f}", p.price.grade, p.price.date) for p in month.parts]
        print_table("", ("part", "$ a month", "grade", "date"), rows, right=[1])
        say(month.words(self.region))
        for note in described.notes:
            say(note)
        say(f"{len(written)} files are in {out}. Nothing was created in AWS.")
        for name, what in open_values.items():
            say(f"Still missing: {name}, {what}.")
        say("Next:")
        for command in commands:
            say(f"  {command}")
        return 0

    def _access(self) -> str:
        """The lines of [access]."""
        if self.style == "host":
            if self.who or self.write:
                raise BadInput(
                    "--who and --write are of a team.",
                    "To a host comes who may start a session of Session Manager with it.",
                )
            return ""
        if not self.who:
            if self.write:
                raise BadInput("Who may look is not given.", "--write goes with --who, e.g. --who 'email=*'.")
            return ""
        rules = {"look": [self.who]} | ({"write": [self.write]} if self.write else {})
        parse(rules, ())
        return "\n".join(f"{key} = [{_quoted(rule)}]" for key, (rule,) in rules.items())

    def _wheel(self) -> Path | None:
        """The wheel of a host; of this version, and not older than the home's data."""
        if self.style == "team":
            return None
        path = Path(self.wheel).expanduser().absolute() if self.wheel else versions.built()
        if path is None:
            versions.check(Settings.from_env().home, versions.own() or "0")
            return None
        version = versions.of_wheel(path)
        versions.check(Settings.from_env().home, version)
        if versions.own() and version != versions.own():
            raise BadInput(
                f"The wheel is of version {version}, and the templates are of {versions.own()}.",
                f"Take a wheel of {versions.own()}, or run `memdb deploy` of {version}.",
            )
        return path


def _quoted(rule: str) -> str:
    if "'" in rule or "\n" in rule:
        raise BadInput("A rule has a quote or a line break in it.", "Write it into the template's parameter.")
    return f"'{rule}'"
