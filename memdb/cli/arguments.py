"""What several commands share: kinds of values, and options that come together."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memdb.cli.options import Command, option
from memdb.cluster.find import find_target
from memdb.cluster.target import Target
from memdb.settings import Settings

if TYPE_CHECKING:
    from memdb.cluster.client import Client
    from memdb.embedding import Embedder
    from memdb.vectors.index import IndexInfo

APP_PORT = 8501


def tcp_port(text: str) -> int:
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


def sample_size(text: str) -> int | Literal["usual"]:
    """How many documents recall is estimated from: a whole number of at least 0, or `usual`."""
    from memdb.tuning.run import USUAL

    if text == "usual":
        return USUAL
    try:
        return count(0)(text)
    except argparse.ArgumentTypeError as exc:
        raise argparse.ArgumentTypeError(f"{exc}; or say usual") from None


@dataclass(frozen=True, kw_only=True)
class OnServer(Command):
    """Commands that open a server."""

    url: str = option(
        "--url",
        default="",
        metavar="URL",
        help="server, e.g. redis://host:6379, or a name of the settings file (default: MEMDB_TARGET, the "
        "running local engine, else MEMDB_URL; give a password in MEMDB_PASSWORD)",
    )

    def find(self, settings: Settings) -> Target:
        """The server that is meant.

        Raises:
            MemDBError: none is named and none runs, or the name is not one.
        """
        return find_target(settings, self.url)


@dataclass(frozen=True, kw_only=True)
class OnWritableServer(OnServer):
    """Commands that may be allowed to write to it."""

    writable: bool = option("--writable", default=False, help="allow writes to a server named with --url")

    def find(self, settings: Settings) -> Target:
        """The server that is meant, writable where that was asked for."""
        return find_target(settings, self.url, writable=self.writable)


@dataclass(frozen=True, kw_only=True)
class OnIndex(OnServer):
    """Commands that read an index."""

    index: str = option("--index", required=True, metavar="NAME", help="e.g. idx:embeddings")
    field: str = option("--field", default="", metavar="F", help="vector field (default: the first)")
    filter: str = option("--filter", default="*", metavar="EXPR", help="e.g. '@service:{s3}' (default: all)")


@dataclass(frozen=True, kw_only=True)
class InWords(OnIndex):
    """Commands that embed texts to ask an index."""

    embedder: str = option(
        "--embedder",
        default="",
        metavar="MODEL",
        help="model that embeds texts, e.g. titan:512, openai:MODEL or folder:PATH (default: what the "
        "settings file or MEMDB_EMBEDDER says; for 256 numbers the model of this machine)",
    )

    def embedder_of(self, client: Client, info: IndexInfo, settings: Settings) -> Embedder:
        """The embedder of the index, held against it; what leaves this machine is said on the standard error.

        Raises:
            MemDBError: none is said, it does not fit, or it does not answer.
        """
        from memdb.embedding import embedder_for

        return embedder_for(
            client, info, settings, field=self.field, here=self.embedder, tell=say_what_leaves
        )

    def tell_embedder(self, info: IndexInfo, settings: Settings) -> None:
        """Say what would leave this machine, for a command that may turn out to embed texts.

        Raises:
            MemDBError: there is no model of that name.
        """
        from memdb import embedding

        chosen = embedding.choice(info, settings, field=self.field, here=self.embedder)
        if chosen is not None:
            say_what_leaves(embedding.of_choice(chosen, settings))


def say_what_leaves(embedder: Embedder) -> None:
    """On the standard error, where texts are sent to a service."""
    from memdb.cli.output import note

    if embedder.model.sends_to:
        note(f"{embedder.leaves} Model: {embedder.name}.")


@dataclass(frozen=True, kw_only=True)
class AppOptions(Command):
    """Commands that start the app."""

    port: int = option("--port", default=APP_PORT, type=tcp_port, metavar="P", help="of the app")
    no_browser: bool = option("--no-browser", default=False, help="do not open a browser")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Command):
    """Commands that load the demo data; None takes the loader's own number."""

    docs: int | None = option(
        "--docs", type=count(0), metavar="N", help="documents, at most 60,000 (default: the operations)"
    )
    users: int | None = option("--users", type=count(0), metavar="N", help="users")
    sessions: int | None = option("--sessions", type=count(0), metavar="N", help="sessions")
    seed: int = option("--seed", default=0, type=count(0), metavar="N", help="of everything random")
