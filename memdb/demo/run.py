"""`memdb demo`: engine, app, data, browser, in this order, and their end in the opposite one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from memdb.child import Child, Order
from memdb.cluster import replies
from memdb.cluster.client import connect
from memdb.cluster.engine import Engine, start
from memdb.cluster.find import from_settings
from memdb.cluster.target import Target
from memdb.demo import progress
from memdb.demo.app import App, app_folder, check_port, environment, open_browser
from memdb.demo.supervise import Keeper, Signals
from memdb.errors import Busy, EngineUnavailable, Unreachable
from memdb.jobs import Job
from memdb.settings import Settings, inherited

_LOOK_EVERY_S = 0.2
_CANCEL_S = 5.0  # the loader reports, and so ends, several times a second
_ENGINE_LOADS_S = 600.0  # a million documents with their index


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; None: the loader's own default."""

    port: int
    browser: bool = True
    docs: int | None = None
    users: int | None = None
    sessions: int | None = None
    seed: int = 0
    prepare: bool = True  # what the presentation shows, once the data is there


class Screen(Protocol):
    """Where progress is shown."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Progress of the stage that runs."""

    def finish(self, *, complete: bool = False) -> None:
        """The work that was reported has ended, perhaps before it was complete."""


def demo(settings: Settings, options: Options, screen: Screen) -> None:
    """Run engine and app until Ctrl-C or SIGTERM.

    With MEMDB_URL that server is opened instead of an engine of our own, and the demo is loaded only where
    MEMDB_WRITABLE allows it.

    Raises:
        MemDBError: it cannot start, or something ends again and again.
    """
    check_port(options.port)
    with Signals() as signals, ExitStack() as stack:
        keepers: list[Keeper] = []
        engine: Engine | None = None
        if settings.url:
            target = from_settings(settings)
        else:
            engine = stack.enter_context(start(settings, json=True))
            target = engine.target
            keepers.append(_engine_keeper(engine, screen))
        app = _started(target, settings, options, stack, keepers, screen)
        loading: _Loading | None = None
        if target.writable:
            loading = _Loading(target, engine, settings, options, screen)
            stack.callback(loading.cancel)
        else:
            screen.say(
                f"{target.name} is opened read-only and nothing is loaded. "
                "MEMDB_WRITABLE=1 loads the demo data and allows writes."
            )

        def loaded() -> None:
            if options.prepare:
                stack.callback(_prepare(target, settings).stop)

        _watch(signals, app, keepers, options, screen, engine, loading, loaded)
        screen.finish()
        screen.say("Ending app and engine." if engine else "Ending the app.")


def app_only(settings: Settings, target: Target, options: Options, screen: Screen) -> None:
    """Run the app alone until Ctrl-C or SIGTERM.

    Raises:
        MemDBError: it cannot start, or ends again and again.
    """
    check_port(options.port)
    with Signals() as signals, ExitStack() as stack:
        keepers: list[Keeper] = []
        app = _started(target, settings, options, stack, keepers, screen)
        _watch(signals, app, keepers, options, screen, None, None)


def _started(
    target: Target,
    settings: Settings,
    options: Options,
    stack: ExitStack,
    keepers: list[Keeper],
    screen: Screen,
) -> App:
    app = App(target, port=options.port, home=settings.home)
    stack.callback(app.stop)
    keepers.append(
        Keeper("The app", status=app.status, restart=app.restart, say=screen.say, log=app.last_words)
    )
    return app


def _engine_keeper(engine: Engine, screen: Screen) -> Keeper:
    return Keeper(
        "The engine",
        status=lambda: engine.status,
        restart=engine.restart,
        say=screen.say,
        log=lambda: f"Its log is {engine.log}.",
    )


def _watch(
    signals: Signals,
    app: App,
    keepers: list[Keeper],
    options: Options,
    screen: Screen,
    engine: Engine | None,
    loading: _Loading | None,
    loaded: Callable[[], None] | None = None,
) -> None:
    announced = False
    while not signals.wanted(_LOOK_EVERY_S):
        if engine is not None and engine.status == 0:
            screen.say("The engine was stopped from outside.")
            return
        for keeper in keepers:
            keeper.check()
        if not announced and app.status() is None and app.answers():
            announced = True
            screen.say(f"Open {app.url}. Ctrl-C ends it; nothing is lost.")
            if options.browser:
                open_browser(app.url)
        if loading is not None and loading.look():
            if loading.complete and loaded is not None:
                loaded()
            loading = None


def _prepare(target: Target, settings: Settings) -> Child:
    """Make what the presentation shows: in a process of its own, which lets everything else go first."""
    return Child(
        Order(
            argv=(sys.executable, "-m", "memdb", "present", "--prepare"),
            directory=app_folder(),
            log=settings.home / "logs" / "present.log",
        ),
        # By the environment and not as arguments, which every user of the machine can read.
        env=inherited() | environment(target, settings.home),
    )


class _Loading:
    """The demo data on its way into the server, in a thread; starts again where the engine did."""

    def __init__(
        self, target: Target, engine: Engine | None, settings: Settings, options: Options, screen: Screen
    ) -> None:
        self._target, self._engine, self._settings = target, engine, settings
        self._options, self._screen = options, screen
        self._job = Job("Demo data", self._work)

    @property
    def complete(self) -> bool:
        """Whether everything is there."""
        return self._job.result is not None

    def look(self) -> bool:
        """Show where it is. True once it has ended for good."""
        state = self._job.state
        if state.status == "running":
            if state.total:
                self._screen.report(state.stage, state.done, state.total)
            address = self._target.address
            progress.note(self._settings.home, address, state.stage, state.done, state.total)
            return False
        progress.clear(self._settings.home)
        error = self._job.error
        if isinstance(error, Unreachable | Busy | EngineUnavailable) and self._engine is not None:
            self._job = Job("Demo data", self._work)  # its keeper brings the engine back, or gives up
            return False
        self._screen.finish(complete=error is None)
        if error is not None:
            self._screen.say(f"The demo data did not load: {error.full()}")
        elif self._job.result:
            self._screen.say(self._job.result)
        return True

    def cancel(self) -> None:
        """End it; what is loaded stays, and the next start goes on from there."""
        self._job.cancel()
        self._job.wait(_CANCEL_S)
        progress.clear(self._settings.home)

    def _work(self, job: Job[str]) -> str:
        # Heavy: imported while engine and app start.
        from memdb.demo import labelled, second
        from memdb.demo.loader import load
        from memdb.demo.words import in_words

        if self._engine is not None:
            _read_data(self._engine, job)
        chosen = {
            "docs": self._options.docs,
            "users": self._options.users,
            "sessions": self._options.sessions,
        }
        counts = {name: value for name, value in chosen.items() if value is not None}
        with connect(self._target) as client:
            report = load(
                client, home=self._settings.home, seed=self._options.seed, report=job.report, **counts
            )
            home, docs = self._settings.home, self._options.docs
            built = second.build(client, home=home, report=job.report)
            labels_loaded = labelled.load(client, home=home, docs=docs, report=job.report)
        return " ".join(filter(None, (in_words(report), built, labels_loaded)))


def _read_data(engine: Engine, job: Job[str]) -> None:
    """Wait until the engine has read what it holds, telling how far it is."""
    pause = threading.Event()
    with connect(engine.target) as client:
        while (facts := client.info("persistence").get("persistence", {})).get("loading") == "1":
            percent = replies.integer(facts.get("loading_loaded_perc"))
            job.report("The engine reads its data (%)", percent, 100)
            pause.wait(_LOOK_EVERY_S)
    engine.wait_ready(_ENGINE_LOADS_S)
