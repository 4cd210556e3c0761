"""What a browser costs the server: sessions on Metrics and search, by the app's own protocol.

    python -m benchmarks.browsers [--sessions 1 10 50] [--documents 2000] [--idle 20] [--within 30]

Each session is a WebSocket that asks for pages and reads their answers, as a tab does, and asks again for
what a page wants drawn anew. Each searches for a word of its own, which no other may be shown. All open
Metrics and search once in the same moment, and search again, each at a random moment within `--within`
seconds, while the others' Metrics pages draw themselves. Then a session starts a sweep, and another presses
its Cancel: it may stop no sweep but its own. Chromium itself is left out: fifty would measure the machine.
Memory is RSS of the server process alone; times are from the question to the end of the script's run. Exit 1
where a session was not shown its own word, was shown another's, or could stop another's job, or where the
server keeps more than 5 % more memory than before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: TID251  # it speaks to Streamlit's server
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: TID251

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.demo import loader
from memdb.demo.app import app_folder, environment, served_by
from memdb.ports import free_port, port_is_free
from memdb.tuning import store

_WORDS = "restore table bucket backup create delete policy role key stream queue topic function index".split()
_FINISHED = 0
_LEFT = 0.05  # of the server's memory, that may be more once all have gone
_PRESSED_S = 5.0
_SETTLES_S = 60.0  # until pages that came at once have found how often all can draw themselves
_QUERIES = 500  # of a sweep that takes some seconds


@dataclass(frozen=True, slots=True)
class Step:
    """So many sessions at once."""

    sessions: int
    mb: float  # RSS of the server with them open
    mb_a_session: float  # of what is above the server that has served one before
    page_p95_s: float
    search_p95_s: float  # each at a moment of its own, up to ten others on Metrics
    search_at_once_p95_s: float  # all in one moment
    idle_cpu: float  # of a core, with Metrics open in up to ten of them, some seconds after they came
    mb_left: float  # RSS a while after they have gone, above the start
    left_share: float  # the same, of the start
    own_word: int  # sessions that were shown the word they searched for
    word_of_another: int  # sessions that were shown one that another searched for


@dataclass(frozen=True, slots=True)
class Button:
    """What a browser sends of one that is pressed."""

    id: str
    fragment: str
    disabled: bool


class Tab:
    """One session."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.buttons: dict[str, Button] = {}  # of the last run, by what is written on them
        self._reruns: dict[str, float] = {}
        self.shown = bytearray()  # all that the last run sent
        self._at = ("", "")  # page and query
        self._page = ""  # the page's hash, which a browser sends with each of its fragments
        self._lock = asyncio.Lock()

    async def open(self, page: str, query: str = "") -> float:
        """Ask for a page; seconds to the end of its run."""
        async with self._lock:
            self._reruns = {}
            self._at = (page, query)
            return await self._run("")

    async def idle(self, seconds: float) -> None:
        """What an open tab asks for by itself; a page may also draw itself anew with other intervals."""
        end = time.monotonic() + seconds
        asked = {fragment: time.monotonic() for fragment in self._reruns}
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._receive(), 0.1)
            for fragment, every in list(self._reruns.items()):
                if time.monotonic() >= asked.setdefault(fragment, time.monotonic()) + every:
                    await self._run(fragment)
                    asked[fragment] = time.monotonic()

    async def press(self, button: Button) -> float:
        """Press a button, drawn here or not; seconds to the end of the run."""
        async with self._lock:
            return await self._run(button.fragment, button)

    async def again(self) -> float:
        """Draw the page anew, as it stands."""
        async with self._lock:
            return await self._run("")

    async def _run(self, fragment: str, pressed: Button | None = None) -> float:
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = self._at
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment) and pressed is None
        if pressed is not None:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = pressed.id, True
        if fragment or pressed is not None:
            message.rerun_script.page_name, message.rerun_script.page_script_hash = "", self._page
        self.shown.clear()
        self.buttons.clear()
        began = time.monotonic()
        await self._socket.send(message.SerializeToString())
        while not await self._receive():
            pass
        return time.monotonic() - began

    async def _receive(self) -> bool:
        """Take one message; whether it ends a run."""
        answer = ForwardMsg()
        data = await self._socket.recv()
        raw = data if isinstance(data, bytes) else data.encode()
        self.shown += raw
        answer.ParseFromString(raw)
        kind = answer.WhichOneof("type")
        if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "button":
            drawn = answer.delta.new_element.button
            self.buttons[drawn.label] = Button(drawn.id, answer.delta.fragment_id, drawn.disabled)
        if kind == "navigation":  # a new session tells that of the script all pages share
            self._page = answer.navigation.page_script_hash
        if kind == "auto_rerun":
            self._reruns[answer.auto_rerun.fragment_id] = answer.auto_rerun.interval
        return kind == "script_finished" and answer.script_finished in (_FINISHED, 3)


@contextlib.asynccontextmanager
async def tabs(port: int, count: int) -> AsyncIterator[list[Tab]]:
    """So many open tabs."""
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            address = f"ws://localhost:{port}/_stcore/stream"
            socket = websockets.connect(
                address, subprotocols=[websockets.Subprotocol("streamlit")], max_size=None, open_timeout=120
            )
            opened.append(Tab(await stack.enter_async_context(socket)))
        yield opened


@contextlib.contextmanager
def app(documents: int) -> Iterator[tuple[int, int, Path]]:
    """The served app on a small demo: its port, its process and its home."""
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder) / "engine", log=False) as running:
        running.wait_ready()
        home, port = Path(folder) / "home", free_port()
        with connect(running.target) as client:
            loader.load(client, home=home, docs=documents, users=40, sessions=200)
        env = {**os.environ, **environment(running.target, home)}
        words = served_by(address="localhost", port=port)
        with subprocess.Popen(words, env=env, cwd=app_folder(), stderr=subprocess.DEVNULL) as process:
            try:
                while port_is_free(port):
                    time.sleep(0.1)
                yield port, process.pid, home
            finally:
                process.terminate()
                process.wait(60)


def rss_mb(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def at_rest(pid: int) -> None:
    """Until the server does nothing: what it compiles after its first page, and what it forgets, is done."""
    used = -1.0
    while (now := cpu_s(pid)) - used > 0.2:
        used = now
        await asyncio.sleep(5)


async def step(port: int, pid: int, count: int, start_mb: float, idle_s: float, within_s: float) -> Step:
    """Open, look at Metrics, search, stay, leave."""
    async with tabs(port, count) as opened:
        pages = list(await asyncio.gather(*(tab.open("metrics") for tab in opened)))

        async def search(number: int, tab: Tab) -> float:
            words = f"{_WORDS[number % len(_WORDS)]}+{_WORDS[(number // 3 + 1) % len(_WORDS)]}+{own[number]}"
            return await tab.open("search", f"search.q={words}")

        moments = np.random.default_rng(count).uniform(0, within_s, count)
        own = [f"visitor{count}x{number}x" for number in range(count)]
        at_once = list(await asyncio.gather(*(search(i, tab) for i, tab in enumerate(opened))))
        seen = [{word for word in own if word.encode() in tab.shown} for tab in opened]
        watching = opened[:10]
        pages += await asyncio.gather(*(tab.open("metrics") for tab in watching))
        await asyncio.gather(*(tab.idle(_SETTLES_S) for tab in watching))
        mb = rss_mb(pid)
        used, began = cpu_s(pid), time.monotonic()
        await asyncio.gather(*(tab.idle(idle_s) for tab in watching))
        idle = (cpu_s(pid) - used) / (time.monotonic() - began)

        async def later(number: int, tab: Tab) -> float:
            moment = float(moments[number])
            await (tab.idle(moment) if tab in watching else asyncio.sleep(moment))
            return await search(number, tab)

        searches = list(await asyncio.gather(*(later(i, tab) for i, tab in enumerate(opened))))
    await at_rest(pid)
    return Step(
        count,
        round(mb, 1),
        round((mb - start_mb) / count, 2),
        round(float(np.percentile(pages, 95)), 2),
        round(float(np.percentile(searches, 95)), 2),
        round(float(np.percentile(at_once, 95)), 2),
        round(idle, 3),
        round((left := rss_mb(pid)) - start_mb, 1),
        round(left / start_mb - 1, 3),
        sum(word in words for word, words in zip(own, seen, strict=True)),
        sum(bool(words - {word}) for word, words in zip(own, seen, strict=True)),
    )


async def swept(tab: Tab, home: Path, presses: Tab) -> bool | None:
    """Start a sweep in a tab, press its Cancel in one; whether it was measured whole, None where it had ended
    before that."""
    before = {entry.id for entry in store.listed(home)}
    await tab.open("recall", f"recall.n={_QUERIES}")
    await tab.press(tab.buttons["Run the sweep"])
    if (cancel := tab.buttons.get("Cancel")) is None:
        return None
    with contextlib.suppress(TimeoutError):  # of a part that a session has not drawn the server draws nothing
        await asyncio.wait_for(presses.press(cancel), _PRESSED_S)
    while "Cancel" in tab.buttons:
        await asyncio.sleep(0.2)
        await tab.again()
    made = [entry for entry in store.listed(home) if entry.id not in before]
    return bool(made) and not store.load(home, made[0].id).partial


async def jobs_apart(port: int, home: Path) -> dict[str, bool | None]:
    """Whether a sweep is stopped by its own tab and by no other."""
    async with tabs(port, 2) as (tab, other):
        await other.open("recall")
        by_other = await swept(tab, home, other)
        by_itself = await swept(tab, home, tab)
    stopped = {"by_another": by_other, "by_itself": by_itself}
    return {name: None if whole is None else not whole for name, whole in stopped.items()}


async def measure(sessions: list[int], documents: int, idle_s: float, within_s: float) -> bool:
    """Each number of sessions after the one before; a line for each. Whether all was as it should be."""
    with app(documents) as (port, pid, home):
        async with tabs(port, 1) as (first,):  # imports, model and caches are the server's own
            await first.open("metrics")
            await first.open("search", "search.q=restore+a+table")
        await at_rest(pid)
        start = rss_mb(pid)
        print(f"server after its first visitor: {start:.0f} MB", file=sys.stderr)
        well = True
        for count in sessions:
            made = await step(port, pid, count, start, idle_s, within_s)
            well = well and made.own_word == count and not made.word_of_another
            well = well and made.left_share <= _LEFT
            print(json.dumps(asdict(made)), flush=True)
        stopped = await jobs_apart(port, home)
        print(json.dumps({"a sweep was stopped": stopped}), flush=True)
        return well and stopped == {"by_another": False, "by_itself": True}


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--within", type=float, default=30.0)
    given = parser.parse_args()
    raise SystemExit(not asyncio.run(measure(given.sessions, given.documents, given.idle, given.within)))


if __name__ == "__main__":
    main()
