"""Options of every subcommand. What they do is imported only when they run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from memdb.errors import BadInput

Commands = Any  # argparse's own class for subcommands is private

DEMO_PORT = 8501


class Parser(argparse.ArgumentParser):
    """One that words its errors as the rest of the command line does: one line, then the way on."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, which hides what is wrong."""
        raise BadInput(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


def demo(commands: Commands) -> None:
    """`memdb demo`."""
    add = _command(commands, "demo", "start engine and app on this machine and load the demo data")
    _app_options(add)
    _data_options(add)
    add.set_defaults(run=_lazy("demo", "demo"))


def app(commands: Commands) -> None:
    """`memdb app`."""
    add = _command(commands, "app", "open the app on a server that runs already")
    _app_options(add)
    _server_options(add, writable=True)
    add.set_defaults(run=_lazy("demo", "app"))


def engine(commands: Commands) -> None:
    """`memdb engine start|status|stop`."""
    group = _command(commands, "engine", "run, show or stop the local engine")
    below = group.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    add = _command(below, "start", "run an engine in the foreground until Ctrl-C and print its URL")
    add.add_argument("--port", type=port, default=0, metavar="P", help="default: a free one")
    add.add_argument(
        "--dir", type=Path, metavar="D", help="folder of its data (default: engine/ under MEMDB_HOME)"
    )
    add.add_argument("--cluster", action="store_true", help="as the only shard of a cluster, as MemoryDB is")
    add.add_argument("--no-log", action="store_true", help="keep nothing on disk: faster, for measurements")
    add.add_argument("--replicas", type=count(0), default=0, metavar="N", help="default: 0")
    add.add_argument(
        "--show-password",
        action="store_true",
        help="print the URL with its password on a terminal too; into a pipe it always is",
    )
    add.add_argument("--json", action="store_true", help="print the URL as JSON")
    add.set_defaults(run=_lazy("engine", "start"))

    add = _command(below, "status", "list the engines that run")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(run=_lazy("engine", "status"))

    add = _command(below, "stop", "stop the local engine; what it holds stays on disk")
    add.add_argument("--port", type=port, default=0, metavar="P", help="which one, if several run")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(run=_lazy("engine", "stop"))


def doctor(commands: Commands) -> None:
    """`memdb doctor`."""
    add = _command(
        commands, "doctor", "walk from name to search and say what each step saw; exit 1 if one failed"
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("doctor", "doctor"))


def check(commands: Commands) -> None:
    """`memdb check`."""
    add = _command(
        commands, "check", "look at every node twice and judge it; exit 1 on a warning or worse, for cron"
    )
    add.add_argument(
        "--seconds", type=count(1), default=2, metavar="S", help="between the looks (default: 2)"
    )
    for name, default, what in (
        ("free", 25, "warn under this much free memory"),
        ("cpu", 70, "warn over this much of the main thread"),
        ("connections", 80, "warn over this much of the connections allowed"),
    ):
        add.add_argument(
            f"--{name}",
            type=count(0),
            default=None,
            metavar="PERCENT",
            help=f"{what} (default: what is kept on the Metrics page, or {default})",
        )
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("check", "check"))


def targets(commands: Commands) -> None:
    """`memdb targets`."""
    add = _command(
        commands, "targets", "list the targets that can be opened, or the MemoryDB clusters of a Region"
    )
    add.add_argument(
        "--discover", metavar="REGION", default=None, help="ask AWS instead; `default` takes its own Region"
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(run=_lazy("doctor", "targets"))


def aws(commands: Commands) -> None:
    """`memdb aws card|alarms|snapshots`."""
    group = _command(commands, "aws", "what AWS tells of a MemoryDB cluster; only reads")
    below = group.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for name, what in (
        ("card", "the cluster against the checklist for production; exit 1 where a check fails"),
        ("alarms", "the article's alarms as calls, CloudFormation or Terraform"),
        ("snapshots", "snapshots with age, size and cost; exit 1 where the newest is too old"),
    ):
        add = _command(below, name, what)
        add.add_argument(
            "--cluster", default="", metavar="NAME", help="needed where the Region has several clusters"
        )
        add.add_argument(
            "--region", default="", metavar="R", help="default: that of AWS_REGION or the AWS profile"
        )
        output = add.add_mutually_exclusive_group()
        output.add_argument("--json", action="store_true", help="print JSON")
        if name == "alarms":
            output.add_argument(
                "--as", dest="form", choices=("boto3", "cloudformation", "terraform"), help="print that text"
            )
            add.add_argument("--topic", default="", metavar="ARN", help="SNS topic that is told")
        add.set_defaults(run=_lazy("aws", name))


def load(commands: Commands) -> None:
    """`memdb load`."""
    add = _command(commands, "load", "load the demo data; goes on where an earlier load was interrupted")
    _data_options(add)
    _server_options(add, writable=True)
    add.add_argument("--json", action="store_true", help="print what was loaded as JSON")
    add.set_defaults(run=_lazy("load", "load"))


def search(commands: Commands) -> None:
    """`memdb search`."""
    add = _command(commands, "search", "nearest documents of a text, a document or a vector")
    add.add_argument("--index", required=True, metavar="NAME", help="e.g. idx:embeddings")
    query = add.add_mutually_exclusive_group(required=True)
    query.add_argument("--text", help="embedded on this machine with the model of the demo data")
    query.add_argument("--key", help="a document of the index: more like this")
    query.add_argument(
        "--vector", metavar="FILE", help="numbers as JSON or text, .npy, or .bin; - reads from the input"
    )
    add.add_argument("--field", default="", metavar="F", help="vector field (default: the first)")
    add.add_argument("--k", type=count(1), default=10, metavar="N", help="how many (default: 10)")
    add.add_argument(
        "--ef", type=count(1), default=None, metavar="N", help="EF_RUNTIME (default: the index's)"
    )
    add.add_argument("--filter", default="*", metavar="EXPR", help="e.g. '@service:{s3}'")
    add.add_argument(
        "--return", dest="returned", metavar="A,B", help="fields to return (default: all but vectors)"
    )
    add.add_argument("--exact", action="store_true", help="also compute the exact answer and the recall")
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("search", "search"))


def recall(commands: Commands) -> None:
    """`memdb recall`."""
    add = _command(commands, "recall", "the cheapest EF_RUNTIME that meets a recall; exit 1 if none does")
    add.add_argument("--index", required=True, metavar="NAME", help="e.g. idx:embeddings")
    add.add_argument("--target", type=share, default=0.95, metavar="R", help="recall@k (default: 0.95)")
    add.add_argument("--confidence", type=share, default=0.95, metavar="C", help="default: 0.95")
    add.add_argument("--field", default="", metavar="F", help="vector field (default: the first)")
    add.add_argument("--k", type=count(1), default=10, metavar="N", help="neighbours (default: 10)")
    add.add_argument("--filter", default="*", metavar="EXPR", help="e.g. '@service:{s3}'")
    add.add_argument(
        "--queries",
        default="",
        metavar="FILE|N",
        help="N random documents, or a .npy, .parquet, .csv or .jsonl of vectors or texts "
        "(default: 1,000 documents, and 4,000 where these leave the answer open)",
    )
    add.add_argument("--ef-min", type=count(1), default=10, metavar="N", help="default: 10")
    add.add_argument("--ef-max", type=count(1), default=512, metavar="N", help="default: 512")
    add.add_argument("--seed", type=count(0), default=0, metavar="N", help="of the choice (default: 0)")
    add.add_argument(
        "--clients", type=count(0), default=8, metavar="N", help="at once, for qps; 0 for none (default: 8)"
    )
    add.add_argument(
        "--budget", type=count(1), default=None, metavar="QPS", help="at most so many queries a second"
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("recall", "recall"))


def map_(commands: Commands) -> None:
    """`memdb map`."""
    add = _command(commands, "map", "lay documents out by their neighbourhoods and write the coordinates")
    add.add_argument("--index", required=True, metavar="NAME", help="e.g. idx:embeddings")
    add.add_argument("--out", required=True, metavar="FILE", help="to write: .csv, .json or .parquet")
    add.add_argument("--sample", default="20000", metavar="N|all", help="documents (default: 20,000)")
    add.add_argument("--stratify", default="", metavar="TAG", help="as many of each value of this TAG field")
    add.add_argument("--seed", type=count(0), default=0, metavar="N", help="of the sample (default: 0)")
    add.add_argument("--field", default="", metavar="F", help="vector field (default: the first)")
    add.add_argument("--filter", default="*", metavar="EXPR", help="e.g. '@service:{s3}'")
    add.add_argument("--neighbours", type=count(2), default=15, metavar="N", help="default: 15")
    add.add_argument("--min-dist", type=amount, default=0.1, metavar="D", help="0 to 0.99 (default: 0.1)")
    add.add_argument("--dimensions", type=int, choices=(2, 3), default=2, help="default: 2")
    add.add_argument("--layout-seed", type=count(0), default=0, metavar="N", help="default: 0")
    add.add_argument("--json", action="store_true", help="print what was made as JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("map", "map_"))


def drill(commands: Commands) -> None:
    """`memdb drill`."""
    add = _command(commands, "drill", "kill two engines while writing, and count what is lost")
    add.add_argument("--seconds", type=amount, default=20.0, metavar="S", help="of writing (default: 20)")
    add.add_argument("--writers", type=count(0), default=4, metavar="N", help="on each engine (default: 4)")
    add.add_argument(
        "--rate",
        type=amount,
        default=100.0,
        metavar="N",
        help="of one writer; 0: all it can (default: 100)",
    )
    add.add_argument(
        "--documents", type=count(0), default=1_000, metavar="N", help="for recall (default: 1,000)"
    )
    add.add_argument("--promotion", action="store_true", help="also a replica that takes over")
    add.add_argument("--seed", type=count(0), default=None, metavar="N", help="of the moment of the kill")
    add.add_argument("--json", action="store_true", help="print the counts as JSON")
    add.set_defaults(run=_lazy("drill", "drill"))


def sessions(commands: Commands) -> None:
    """`memdb sessions`, `memdb sessions show ID` and `memdb sessions formats`."""
    add = _command(commands, "sessions", "list sessions by cursor, show one, or tell their formats")
    add.add_argument(
        "action", nargs="?", choices=("list", "show", "formats"), default="list", help="default: list"
    )
    add.add_argument("id", nargs="?", default="", metavar="ID", help="of the session to show")
    add.add_argument("--user", default="", metavar="ID", help="only of this user")
    add.add_argument("--context", default="", metavar="C", help="only with this context")
    add.add_argument("--words", default="", metavar="W", help="only with these words in the history")
    add.add_argument("--limit", type=count(1), default=20, metavar="N", help="at most (default: 20)")
    add.add_argument("--cursor", default="", metavar="C", help="go on where an earlier list ended")
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("sessions", "sessions"))


def size(commands: Commands) -> None:
    """`memdb size`."""
    add = _command(commands, "size", "memory, nodes and dollars of vectors and sessions")
    add.add_argument("--vectors", type=count(1), required=True, metavar="N", help="documents with a vector")
    _shape_options(add, required=True)
    add.add_argument("--sessions-per-second", type=amount, default=0.0, metavar="R", help="default: 0")
    add.add_argument("--session-bytes", type=count(1), default=4_096, metavar="N", help="default: 4096")
    add.add_argument("--session-ttl", type=amount, default=1_800.0, metavar="S", help="default: 1800")
    add.add_argument("--queries", type=amount, default=20.0, metavar="QPS", help="a second (default: 20)")
    add.add_argument(
        "--writes", type=amount, default=1.0, metavar="R", help="documents a second (default: 1)"
    )
    add.add_argument("--replicas", type=count(0), default=2, metavar="N", help="default: 2")
    add.add_argument("--snapshot-days", type=count(0), default=7, metavar="N", help="kept (default: 7)")
    add.add_argument("--reserve", type=amount, default=0.25, metavar="S", help="kept free (default: 0.25)")
    add.add_argument("--region", default="us-east-1", metavar="R", help="of the prices (default: us-east-1)")
    add.add_argument("--engine", choices=("valkey", "redis"), default="valkey", help="default: valkey")
    add.add_argument(
        "--profile",
        default="memorydb",
        metavar="NAME",
        help="memorydb, redisearch, valkey-search, article, or one of `memdb calibrate` (default: memorydb)",
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(run=_lazy("size", "size"))


def calibrate(commands: Commands) -> None:
    """`memdb calibrate`."""
    add = _command(
        commands, "calibrate", "fit a sizing profile to an index, or to samples on a local engine of its own"
    )
    add.add_argument("--name", default="mine", metavar="NAME", help="of the profile (default: mine)")
    add.add_argument("--index", default="", metavar="NAME", help="an index that is there; only read")
    _shape_options(add, required=False)
    add.add_argument(
        "--docs", type=count(1), default=4_096, metavar="N", help="of the largest sample (default: 4096)"
    )
    add.add_argument("--seed", type=count(0), default=0, metavar="N", help="of the samples (default: 0)")
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("size", "calibrate"))


def port(text: str) -> int:
    """A TCP port."""
    value = count(0)(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f"{value} is not a port; ports are 1 to 65535")
    return value


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, e.g. 0.95")
    return value


def amount(text: str) -> float:
    """A number of at least 0."""
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of 0 or more")
    return value


def count(low: int) -> Callable[[str], int]:
    """A whole number of at least `low`; 20_000 and 20,000 are numbers too."""

    def read(text: str) -> int:
        try:
            value = int(text.replace(",", ""))
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"{value} is too small; at least {low}")
        return value

    return read


def _command(commands: Commands, name: str, what: str) -> argparse.ArgumentParser:
    found: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[:1].upper() + what[1:] + "."
    )
    return found


def _shape_options(add: argparse.ArgumentParser, *, required: bool) -> None:
    types = ("FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16")
    add.add_argument("--dim", type=count(1), required=required, metavar="N", help="dimension")
    add.add_argument("--type", choices=types, default="FLOAT32", help="default: FLOAT32")
    add.add_argument("--m", type=count(1), default=16, metavar="N", help="links of a node (default: 16)")
    add.add_argument("--algorithm", choices=("HNSW", "FLAT"), default="HNSW", help="default: HNSW")
    add.add_argument("--on", choices=("HASH", "JSON"), default="HASH", help="default: HASH")
    add.add_argument(
        "--metadata-bytes", type=count(0), default=0, metavar="N", help="stored only (default: 0)"
    )
    add.add_argument(
        "--text-bytes", type=count(0), default=0, metavar="N", help="indexed as words (default: 0)"
    )
    add.add_argument("--tags", type=count(0), default=0, metavar="N", help="TAG fields (default: 0)")
    add.add_argument("--numbers", type=count(0), default=0, metavar="N", help="NUMERIC fields (default: 0)")
    add.add_argument("--key-bytes", type=count(1), default=20, metavar="N", help="of a key (default: 20)")


def memory(commands: Commands) -> None:
    """`memdb memory`."""
    add = _command(
        commands, "memory", "where each node's memory goes, what expires soon, what indexes should hold"
    )
    add.add_argument(
        "--exact", action="store_true", help="count the keys of each index instead of estimating: SCAN of all"
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    _server_options(add)
    add.set_defaults(run=_lazy("memory", "memory"))


def exporter(commands: Commands) -> None:
    """`memdb exporter`."""
    add = _command(commands, "exporter", "serve every node's figures as OpenMetrics, for Prometheus")
    add.add_argument("--port", type=port, default=9121, metavar="P", help="default: 9121; 0: a free one")
    add.add_argument("--address", default="127.0.0.1", metavar="A", help="to listen on (default: 127.0.0.1)")
    add.add_argument(
        "--once", action="store_true", help="print the text once and end, for textfile collectors"
    )
    _server_options(add)
    add.set_defaults(run=_lazy("exporter", "exporter"))


def _app_options(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "--port", type=port, default=DEMO_PORT, metavar="P", help=f"of the app (default: {DEMO_PORT})"
    )
    add.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _data_options(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "--docs",
        type=count(0),
        default=None,
        metavar="N",
        help="documents, at most 60,000 (default: the operations)",
    )
    add.add_argument("--users", type=count(0), default=None, metavar="N", help="users")
    add.add_argument("--sessions", type=count(0), default=None, metavar="N", help="sessions")
    add.add_argument(
        "--seed", type=count(0), default=0, metavar="N", help="of everything random (default: 0)"
    )


def _server_options(add: argparse.ArgumentParser, *, writable: bool = False) -> None:
    add.add_argument(
        "--url",
        default="",
        metavar="URL",
        help="server, e.g. redis://host:6379, or a name of the settings file (default: MEMDB_TARGET, the "
        "running local engine, else MEMDB_URL; give a password in MEMDB_PASSWORD)",
    )
    if writable:
        add.add_argument("--writable", action="store_true", help="allow writes to a server named with --url")


def _lazy(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    def run(found: argparse.Namespace) -> int:
        import importlib

        chosen: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"memdb.cli.{module}"), function
        )
        return chosen(found)

    return run
