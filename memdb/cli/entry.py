"""The parser, and errors as one line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from memdb.cli import arguments
from memdb.cli.arguments import Parser
from memdb.errors import Cancelled, MemDBError

INTERRUPTED = 130  # what a shell expects after Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 for a missed target, 2 after an error, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a key may hold what the terminal cannot show
    try:
        found = parser().parse_args(words)
        run: Callable[[argparse.Namespace], int] = found.run
        status = run(found)
        sys.stdout.flush()
    except Cancelled:
        return INTERRUPTED
    except MemDBError as exc:
        _tell(exc, as_json=as_json)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `memdb … | head`: what is left in the buffer has nowhere to go, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def parser() -> argparse.ArgumentParser:
    """All subcommands with their options. Public for the test that compares it with the documentation."""
    top = Parser(
        prog="memdb",
        description="See and tune what an Amazon MemoryDB cluster holds: sessions and vectors.",
        epilog="`memdb demo` starts everything on this machine. `memdb COMMAND --help` tells the options.",
    )
    top.add_argument("--version", action="version", version=f"memdb {_version()}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for add in (
        arguments.demo,
        arguments.app,
        arguments.engine,
        arguments.doctor,
        arguments.check,
        arguments.exporter,
        arguments.targets,
        arguments.aws,
        arguments.load,
        arguments.search,
        arguments.recall,
        arguments.map_,
        arguments.sessions,
        arguments.drill,
        arguments.size,
        arguments.calibrate,
        arguments.memory,
    ):
        add(commands)
    return top


def _tell(error: MemDBError, *, as_json: bool) -> None:
    if as_json:
        from memdb.cli.output import print_json  # rich is not needed for most errors

        print_json({"error": str(error), "hint": error.hint})
    print("memdb: " + " ".join(error.full().split()), file=sys.stderr)


def _version() -> str:
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return "of a source folder that is not installed"
