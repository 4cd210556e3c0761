"""`memdb tap`: between an application and its server, to record what it searches for."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from memdb.cli.arguments import OnServer, count, share
from memdb.cli.options import option
from memdb.cli.output import note, write
from memdb.display import counted, percent
from memdb.errors import BadInput
from memdb.numerals import whole_number
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Tap(OnServer):
    """`memdb tap`."""

    listen: str = option(
        "--listen",
        default="127.0.0.1:6390",
        metavar="HOST:PORT",
        help="where the application connects instead; port 0: a free one",
    )
    out: str = option(
        "--out",
        default="",
        metavar="FILE",
        help="Parquet file of the searches; one of an earlier tap is continued (default: a new one that the "
        "Recall page lists)",
    )
    share: float = option("--share", default=1.0, type=share, metavar="S", help="of the searches to record")
    most: int | None = option(
        "--most", type=count(1), metavar="N", help="searches in the file; then fewer are kept of all"
    )
    remote: bool = option(
        "--remote",
        default=False,
        help="allow an address that other machines reach: what passes there is not encrypted",
    )

    def run(self) -> int:
        """Pass on and record until Ctrl-C or SIGTERM.

        Raises:
            MemDBError: the address cannot be listened on, the server does not answer, or the file cannot be
                written.
        """
        from memdb.tap.proxy import Proxy
        from memdb.tap.record import MOST, Recorder
        from memdb.tap.store import new_path

        host, port = _address(self.listen)
        settings = Settings.from_env()
        target = self.find(settings)
        path = Path(self.out).expanduser() if self.out else new_path(settings.home, target, time.time())
        with Recorder(
            path, share=self.share, most=self.most or MOST, server=target.address, say=note
        ) as recorder:
            proxy = Proxy(target, recorder, host=host, port=port, remote=self.remote, say=note)
            before = signal.signal(signal.SIGTERM, lambda *_: proxy.stop())
            interrupt = signal.signal(signal.SIGINT, lambda *_: proxy.stop())
            try:
                host_words = f"[{host}]" if ":" in host else host
                write(f"redis://{host_words}:{proxy.port}")
                note(f"What the application sends there goes to {target.address}; its searches to {path}.")
                if self.remote:
                    note("Other machines may reach this address: what passes there is not encrypted.")
                proxy.run()
            finally:
                signal.signal(signal.SIGTERM, before)
                signal.signal(signal.SIGINT, interrupt)
        passed = proxy.passed
        share_words = "all" if recorder.share == 1 else percent(recorder.share)
        note(
            f"{counted(passed.clients, 'client')} sent {counted(passed.commands, 'command')}, "
            f"{passed.searches:,} of them searches for nearest neighbours; {len(recorder):,} are in {path}, "
            f"which keeps {share_words} of those that the server took."
        )
        if passed.unfollowed:
            note(f"{passed.unfollowed:,} connections could not be read to the end: the rest passed unread.")
        return 0


def _address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[::1]:PORT`.

    Raises:
        BadInput: it is no such address.
    """
    host, colon, port = text.rpartition(":")
    number = whole_number(port)
    if not colon or number is None or number > 65535 or not host:
        raise BadInput(f"'{text}' is no address to listen on.", "Write it like 127.0.0.1:6390.")
    return host.removeprefix("[").removesuffix("]"), number
