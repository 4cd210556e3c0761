"""The frame around every page: the target with its badge, the index, the navigation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streamlit as st

from memdb import files
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.display import Markdown, code, labels, markdown
from memdb.errors import LoginFailed, MemDBError, NotAllowed, NoVectorField
from memdb.ui import warming
from memdb.ui.help import HELP
from memdb.ui.kit import access, cached, numbers, parts, role, safety, state, targets
from memdb.vectors.index import IndexInfo

TITLE = "MemoryDB Explorer"
LOGO = str(Path(__file__).parent / "logo.svg")
LOOK, DARK = Path(__file__).with_name("look.css"), Path(__file__).with_name("dark.css")
# Section → pages: file, title, icon, address. A page stands here once it exists.
PAGES: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Explore": (
        ("explore/home.py", "Home", ":material/home:", "home"),
        ("explore/search.py", "Search", ":material/search:", "search"),
        ("explore/map.py", "Map", ":material/scatter_plot:", "map"),
        ("explore/sessions.py", "Sessions", ":material/forum:", "sessions"),
        ("explore/assistant.py", "Assistant", ":material/assistant:", "assistant"),
        ("present.py", "Present", ":material/co_present:", "present"),
    ),
    "Tune": (
        ("tune/recall.py", "Recall", ":material/speed:", "recall"),
        ("tune/relevance.py", "Relevance", ":material/fact_check:", "relevance"),
        ("tune/indexes.py", "Indexes", ":material/stacks:", "indexes"),
    ),
    "Operate": (
        ("operate/metrics.py", "Metrics", ":material/monitoring:", "metrics"),
        ("operate/connect.py", "Connect", ":material/cable:", "connect"),
        ("operate/aws.py", "AWS", ":material/cloud:", "aws"),
        ("operate/durability.py", "Durability", ":material/power_off:", "durability"),
    ),
    "Plan": (
        ("plan/sizing.py", "Sizing", ":material/calculate:", "sizing"),
        ("plan/compare.py", "Compare", ":material/balance:", "compare"),
    ),
}

_PAGE = "frame.page"  # the page that was drawn last
_SENT_BACK, _ABSENT, _INDEX_OF = "frame.sent_back", "frame.absent", "frame.index_of"
_LET_IN: ContextVar[bool] = ContextVar("frame.let_in", default=False)  # in this run of the script


@cache
def _tidied(home: Path) -> None:
    """Remove what writers of files left behind that were killed; once in this process."""
    files.tidy_home(home)


@dataclass(frozen=True, slots=True)
class _Absent:
    """An index that was named and is not there."""

    name: str
    instead: str | None = None  # what was shown first in its place


def run(strips: Iterable[Callable[[Target], None]] = ()) -> None:
    """Draw the frame and run the page that was asked for.

    Args:
        strips: what page families show of an answering target in the sidebar of every page. They are handed
            in by the entry, so that the frame knows no family.
    """
    numbers.without_infinity()
    _tidied(cached.home())
    page = _menu()
    st.session_state.pop(_SENT_BACK, None)
    if access.login_missing():
        access.login_screen(TITLE)
        return
    _open_to_all()
    if _turned_away():
        return
    with st.sidebar:
        targets.selector()
    limit: AbstractContextManager[None] = nullcontext()
    try:
        here = target()
    except MemDBError as exc:
        _unopened_panel()
        if page.url_path != "connect":  # that page says more, and offers the way on
            st.title(TITLE)
            parts.show_error(exc)
            st.page_link(link("connect"), label="Targets that can be opened", icon=":material/cable:")
            return
    else:
        waiting = cached.waiting(here)
        limit = waiting or limit
        arrived = st.session_state.get(_PAGE) != page.url_path
        with st.sidebar:
            _target_panel(here, strips, answers=waiting is None, arrived=arrived)
        st.session_state[_PAGE] = page.url_path
    if page.url_path == "connect":  # it asks other servers too
        limit = nullcontext()
    _absent_index()
    parts.damaged_files()
    with st.sidebar:
        access.login_panel(targets.may())
        role.panel()
    token = _LET_IN.set(True)
    try:
        with limit:
            page.run()
        parts.forget_presses()
    finally:
        _LET_IN.reset(token)
        warming.map_layout()


def _open_to_all() -> None:
    """Say on every page that nobody has to log in, where that was chosen for an app that others reach."""
    if targets.settings().serve_without_login and not access.login_configured():
        st.warning(
            "Whoever reaches its address sees what this page shows (`MEMDB_SERVE_WITHOUT_LOGIN`).",
            title="This app is served without a login.",
            icon=":material/no_encryption:",
        )


def _turned_away() -> bool:
    """Whether this visitor logged in, but is not among those who may look; also where that cannot be told."""
    try:
        rights = targets.rights()
    except MemDBError as exc:
        st.title(TITLE)
        parts.show_error(exc)
        access.login_panel()
        return True
    if rights is None or rights.lets_in(access.claims()):
        return False
    st.title(TITLE)
    st.error(
        "Who runs this app says in its settings file, under `[access]`, who may look.",
        title="This login is not let in.",
        icon=":material/block:",
    )
    access.login_panel()
    return True


def _menu() -> st.Page:
    # A file of our own: a Material icon would be fetched from a font server.
    st.set_page_config(page_title=TITLE, page_icon=LOGO, layout="wide")
    st.logo(LOGO, size="large")
    st.html(LOOK)
    if state.dark():
        st.html(DARK)
    folder = app_folder() / "pages"
    menu = {
        section: [
            st.Page(
                folder / file,
                title=title,
                icon=icon,
                url_path="" if address == "home" else address,
                default=address == "home",
            )
            for file, title, icon, address in pages
        ]
        for section, pages in PAGES.items()
    }
    # The default page stands at the root alone; whoever types its name shall find it as well.
    file, title, icon, address = PAGES["Explore"][0]
    menu["Explore"].append(
        st.Page(folder / file, title=title, icon=icon, url_path=address, visibility="hidden")
    )
    page = st.navigation(menu, position="hidden")
    _links(menu, page)
    return page


def _links(menu: dict[str, list[st.Page]], here: st.Page) -> None:
    """The menu in the sidebar. Streamlit's own is a list whose items are not its children: no screen reader
    tells how many there are (axe: list, listitem)."""
    with st.sidebar, st.container(key="menu", gap=None):
        for section, pages in menu.items():
            st.caption(markdown(section))
            for each in pages:
                if each.visibility != "hidden":
                    # Home has two addresses: the one that is open is the one that is marked.
                    st.page_link(page=here if here.title == each.title else each, label=markdown(each.title))


def link(address: str) -> Path:
    """The file of a page, for st.page_link: by its whole path, wherever the entry script lies."""
    file = next(page[0] for pages in PAGES.values() for page in pages if page[3] == address)
    return app_folder() / "pages" / file


def target() -> Target:
    """The target of this app.

    Raises:
        MemDBError: none is configured, or it cannot be opened; the hint says what to do.
    """
    return safety.guarded(targets.current())


def client() -> Client:
    """A client for the target, shared by all pages."""
    return cached.client(target())


def index_name() -> str | None:
    """The index chosen in the sidebar; None where there is none to choose."""
    name = st.session_state.get(state.INDEX)
    return name if isinstance(name, str) and name else None


def page(title: Markdown, caption: Markdown) -> Target:
    """Title and one line under it; returns the target. Every page that needs one begins with this."""
    heading(title, caption)
    return target()


def heading(title: Markdown, caption: Markdown) -> None:
    """Title and one line under it, once `run` has let the visitor in: else a page does nothing.

    Streamlit runs a page's file alone where `streamlit run` sees a `pages` folder beside its script and
    nobody was there before. Then the run begins again, with the frame.
    """
    _admit()
    help_text = HELP.get(title)
    st.title(title, help=help_text.as_markdown() if help_text is not None else None)
    st.caption(caption)


def admitted() -> Target:
    """The target, for a page that fills the window and has no heading: see `heading`."""
    _admit()
    return target()


def _admit() -> None:
    if not _LET_IN.get():
        if st.session_state.get(_SENT_BACK):  # the page's file itself was given to `streamlit run`
            st.error("Start the app with `memdb app`.", title="A page opens in the app only.")
            st.stop()
        st.session_state[_SENT_BACK] = True
        _menu()  # ends that way of finding pages, for everybody
        st.rerun()


def _unopened_panel() -> None:
    named = targets.chosen()
    if named is None:
        return
    with st.sidebar:
        st.markdown(parts.target_name(named.target))
        parts.target_badge(named.target)
        st.caption(":material/cloud_off: cannot be opened")


def _target_panel(
    here: Target, strips: Iterable[Callable[[Target], None]], *, answers: bool, arrived: bool
) -> None:
    st.markdown(parts.target_name(here))
    parts.target_badge(here)
    if not answers:
        st.caption(":material/cloud_off: not answering")
        return
    try:
        server = cached.server(here)
        names, refusal = _names(here)
        if refusal is None and _absent_of(names):  # it may have come since they were read
            cached.index_names.clear(here)
            names, refusal = _names(here)
        others = () if refusal is not None else cached.other_index_names(here)
    except NotAllowed as exc:
        st.caption(":material/key_off: this user may do too little here", help=markdown(exc.full()))
        safety.panel(targets.current())
        return
    except LoginFailed:
        targets.forget()  # its password may have been changed at its source
        st.caption(":material/key_off: login refused")
        return
    except MemDBError:
        st.caption(":material/cloud_off: not answering")
        return
    st.caption(f"{markdown(server.title, 80)} · {markdown(server.dialect.title, 80)}")
    for strip in strips:
        strip(here)
    if refusal is not None:
        st.caption(":material/key_off: this user may not list indexes", help=markdown(refusal.full()))
        st.text_input("Index", key=state.INDEX, bind="query-params", placeholder="its name", max_chars=512)
    else:
        if arrived:
            _take_linked(names)
        _note_absent(here, names)
        if st.session_state.get(state.INDEX) not in names:
            st.session_state.pop(state.INDEX, None)
        if names:
            st.selectbox("Index", names, format_func=labels(names), key=state.INDEX, bind="query-params")
    if others:
        st.caption(
            f":material/block: Not opened here, since the name is not UTF-8: {', '.join(map(code, others))}. "
            "The command line and the library open it."
        )
    safety.panel(targets.current())


def _take_linked(names: tuple[str, ...]) -> None:
    """The index of the link that led to this page: the sidebar's box, there before, would keep its own."""
    linked = st.query_params.get(state.INDEX, "")
    named = next((name for name in names if state.index_in_link(name) == linked), None)
    if named is not None and index_name() not in (None, named):
        st.session_state[state.INDEX] = named


def _note_absent(here: Target, names: tuple[str, ...]) -> None:
    """Keep what a link, or the choice before, names and the server does not have."""
    before = st.session_state.get(_INDEX_OF)
    st.session_state[_INDEX_OF] = here.address
    if before not in (None, here.address):  # another target was chosen: it has indexes of its own
        st.session_state.pop(_ABSENT, None)
        return
    if absent := _absent_of(names):
        st.session_state[_ABSENT] = _Absent(absent)


def _absent_of(names: tuple[str, ...]) -> str:
    """The index that a link, or else the choice before, names and that is not among these; else empty."""
    linked = st.query_params.get(state.INDEX, "")
    if linked and linked not in {state.index_in_link(name) for name in names}:
        return linked
    chosen = index_name()
    return chosen if chosen is not None and chosen not in names else ""


def _absent_index() -> None:
    """Say on every page that the index of its link is not there, until another one is chosen."""
    absent = st.session_state.get(_ABSENT)
    if not isinstance(absent, _Absent):
        return
    name = index_name()
    if absent.instead is None:
        st.session_state[_ABSENT] = _Absent(absent.name, name)
    elif name != absent.instead:
        del st.session_state[_ABSENT]
        return
    st.warning(
        f"The index {code(absent.name, 120)} is not on this server. "
        + (f"This page shows {code(name, 120)}." if name is not None else "There is no index to show.")
        + " It may have been dropped, or the link belongs to another server.",
        icon=":material/link_off:",
    )


def listed_names(here: Target) -> tuple[str, ...]:
    """Names of the target's indexes; none where this user may not list them."""
    return _names(here)[0]


def _names(here: Target) -> tuple[tuple[str, ...], NotAllowed | None]:
    try:
        return cached.index_names(here), None
    except NotAllowed as exc:
        return (), exc


def on_index(
    here: Target,
    draw: Callable[[Target, IndexInfo], None],
    choose: Callable[[str | None], str | None] = lambda chosen: chosen,
) -> None:
    """Draw a page that needs an index with a vector field: the chosen one, or what `choose` makes of it."""
    with parts.errors_shown(here):
        name = choose(index_name())
        if name is None:
            no_index(here)
        elif (info := cached.index_info(here, name)).of_kind("VECTOR"):
            parts.unfinished(info)
            draw(here, info)
        else:
            no_vectors(info)


def no_vectors(info: IndexInfo) -> None:
    """Empty state of a page that asks for nearest neighbours, where the index has no vectors."""
    parts.empty(
        "This index has no vector field",
        f"{markdown(str(NoVectorField(info.name, ())))} Choose another index in the sidebar. "
        "The Home page shows what this one holds.",
        ":material/grid_off:",
    )


def no_index(here: Target) -> None:
    """Empty state of a page that needs an index, where the target has none."""
    server = cached.server(here)
    try:
        cached.index_names(here)
    except MemDBError as exc:  # there may be indexes; this user, or this moment, does not show them
        parts.show_error(exc, here)
        return
    if not server.dialect.searches:
        parts.empty(
            "No vector search here",
            f"{markdown(server.dialect.refused)}. Sessions and keys work on all shards."
            if server.dialect.refused
            else f"This {markdown(server.title, 80)} has no search module. On MemoryDB "
            "it is chosen when the cluster is created, by a parameter group with search.",
            ":material/search_off:",
        )
    elif cached.other_index_names(here):
        parts.empty(
            "No index opens here",
            "The names of those that there are are not UTF-8; the command line opens them.",
            ":material/database:",
        )
    else:
        parts.empty(
            "No index yet",
            "The Home page offers to load the demo data, or create one with FT.CREATE.",
            ":material/database:",
        )
