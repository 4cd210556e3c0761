"""The command line. One module a subcommand; nothing heavy is imported before it is needed."""

from memdb.cli.entry import main

__all__ = ["main"]
