"""The commands, and errors as one line."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from memdb.cli.options import Command, Parser, not_understood
from memdb.cluster.address import without_addresses, without_values
from memdb.errors import BadInput, Cancelled, MemDBError

# Each is a class named by its last word in memdb/cli/<first word>.py, imported once it is called:
# `memdb --help` waits for no NumPy.
COMMANDS = {
    "demo": "start engine and app on this machine and load the demo data",
    "app": "open the app on a server that runs already",
    "serve": "serve the app to others, in the foreground: for systemd and containers",
    "deploy": "templates to serve the app beside a cluster, filled in from what AWS reports; only reads",
    "engine start": "run an engine in the foreground until Ctrl-C and print its URL",
    "engine status": "list the engines that run",
    "engine stop": "stop the local engine; what it holds stays on disk",
    "doctor": "walk from name to search and say what each step saw; exit 1 if one failed",
    "check": "look at every node twice and judge it; exit 1 on a warning or worse, for cron",
    "exporter": "serve every node's figures as OpenMetrics, for Prometheus",
    "settings": "list the MEMDB_ variables: what they mean, their defaults, and what is set",
    "targets": "list the targets that can be opened, or the clusters of a Region",
    "aws card": "the cluster against the checklist for production; exit 1 where a check fails",
    "aws alarms": "the article's alarms as calls, CloudFormation or Terraform",
    "aws snapshots": "snapshots with age, size and cost; exit 1 where the newest is too old",
    "present": "make what the presentation shows before somebody looks on",
    "load": "load the demo data; goes on where an earlier load was interrupted",
    "search": "nearest documents of a text, a document or a vector",
    "tap": "stand between an application and its server and record what it searches for",
    "recall": "the cheapest EF_RUNTIME that meets a recall; exit 1 if none does or the index is incomplete",
    "evaluate": "whether what indexes return is right, by labels; exit 1 where a bound is missed",
    "labels list": "your labels by question",
    "labels import": "add labels of TREC, BEIR or CSV files to yours",
    "labels export": "write your labels as CSV, BEIR or TREC files",
    "watch": "measure an index's recall now and then; with --once exit 1 where it lies below the target",
    "reembed": "embed an index's documents again by another model; exit 1 where it ended early",
    "map": "lay documents out by their neighbourhoods and write the coordinates",
    "sessions": "list sessions by cursor, show one, or tell their formats",
    "drill": "kill two engines while writing, and count what is lost",
    "size": "memory, nodes and dollars of vectors and sessions",
    "compare": "what MemoryDB, ElastiCache, S3 Vectors and OpenSearch cost for the same, and differ in",
    "facts": "limits, modes and prices of the services, with source and date; exit 1 if one is overdue",
    "calibrate": "fit a sizing profile to an index, or to samples on a local engine of its own",
    "memory": "where each node's memory goes, what expires soon, what indexes should hold",
}
GROUPS = {
    "labels": "how well documents answer questions, as you judged",
    "engine": "run, show or stop the local engine",
    "aws": "what AWS reports of a cluster; only reads",
}
INTERRUPTED = 130  # what a shell expects after Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 for a missed target, 2 after an error, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a key may hold what the terminal cannot show
    try:
        chosen = parse(words)
        as_json = getattr(chosen, "json", False)
        try:
            status = chosen.run()
        finally:
            _tell_damaged()
        sys.stdout.flush()
    except Cancelled:
        return INTERRUPTED
    except MemDBError as exc:
        from memdb.cli.output import print_error  # rich is needed for nothing else here

        print_error(without_addresses(exc, words), as_json=as_json)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `memdb … | head`: what is left in the buffer has nowhere to go, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def _tell_damaged() -> None:
    """Files under MEMDB_HOME that could not be read, and without which the command went on."""
    files = sys.modules.get("memdb.files")  # a command that read none has not imported it
    if files is not None:
        from memdb.cli.output import note

        while files.NOTICES:
            note(f"memdb: {files.NOTICES.popleft().words}")


def parse(words: Sequence[str]) -> Command:
    """The command that a line means, with its options.

    Raises:
        BadInput: it is no command, or an option has a value it cannot have.
    """
    try:
        parsed, unread = _parser().parse_known_args(words)
        if unread:
            raise not_understood(unread, f"memdb {parsed.command}")
    except BadInput as exc:
        raise without_values(exc, words) from None
    return command(parsed.command).of(parsed)


def command(name: str) -> type[Command]:
    """The class of one of COMMANDS."""
    words = name.split()
    chosen: type[Command] = getattr(importlib.import_module(f"memdb.cli.{words[0]}"), words[-1].capitalize())
    return chosen


class _CommandParser(Parser):
    """Of one command; it learns the command's options when there is something to parse."""

    _declared = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # argparse's types
        name = self.get_default("command")  # None of a group, which has commands of its own
        if name is not None and not self._declared:
            self._declared = True
            command(name).declare(self)
        if name is not None and args is not None:
            args = self.joined(args)
        return super().parse_known_args(args, namespace)


@cache
def _parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="memdb",
        description="See and tune what an Amazon MemoryDB cluster holds: sessions and vectors.",
        epilog="`memdb demo` starts everything on this machine. `memdb COMMAND --help` tells the options.",
    )
    top.add_argument("--version", action="version", version=f"memdb {_version()}")
    under = {
        "": top.add_subparsers(
            title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
        )
    }
    for name, what in COMMANDS.items():
        *group, last = name.split()
        above = " ".join(group)
        if above not in under:
            parser = under[""].add_parser(above, help=GROUPS[above], description=_sentence(GROUPS[above]))
            under[above] = _below(parser)
        parser = under[above].add_parser(last, help=what, description=_sentence(what))
        parser.set_defaults(command=name)
    return top


def _below(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[_CommandParser]:
    return parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )


def _sentence(what: str) -> str:
    return f"{what[:1].upper()}{what[1:]}."


def _version() -> str:
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return "of a source folder that is not installed"
