"""Parts that several pages draw: errors, badges, code to copy, exports, jobs, empty states."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

import pandas as pd
import streamlit as st

from memdb import export as exports
from memdb import files
from memdb.cluster.reader import Within
from memdb.cluster.target import Target
from memdb.display import Markdown, bytes_text, line, markdown, plain
from memdb.errors import Busy, MalformedReply, MemDBError, ReadOnlyTarget, UnknownIndex, Unreachable
from memdb.ui.kit import cached
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import Command

_PATIENCE_S = 5.0
_WAITED = "parts.waited"
_PRESSED = "parts.pressed"
_LONGEST = 100_000  # characters of a text to copy
_TOLD_S = 600.0
KIND_LOOK = {
    "local": ("green", ":material/home:"),
    "development": ("blue", ":material/build:"),
    "production": ("red", ":material/warning:"),
}


class errors_shown:  # noqa: N801  # read as a phrase: with errors_shown(target)
    """Show one of our errors where it happens; the rest of the page goes on. Bugs stay bugs."""

    def __init__(self, target: Target | None = None) -> None:
        self._target = target

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(exc, MemDBError):
            show_error(exc, self._target)
            return True
        return False


def show_error(exc: MemDBError, target: Target | None = None) -> None:
    """One clear sentence and the way on; with a target that is down or busy, the page waits for it."""
    if isinstance(exc, Busy | ReadOnlyTarget):
        st.warning(markdown(exc.hint) or "–", title=markdown(str(exc)), icon=":material/hourglass_top:")
    else:
        st.error(markdown(exc.hint) or "–", title=markdown(str(exc)), icon=":material/error:")
    if isinstance(exc, UnknownIndex):
        cached.index_names.clear()
    if target is not None and isinstance(exc, Busy | Unreachable) and not isinstance(exc, MalformedReply):
        st.session_state[_WAITED] = False
        _wait_for(target)


@st.fragment(run_every="2s")
def _wait_for(target: Target) -> None:
    """Try again every two seconds and draw the page anew once the server answers."""
    if not st.session_state.get(_WAITED):
        # Drawn with the page itself: a server that answers PING but is not ready would have the page drawn
        # again and again without a pause.
        st.session_state[_WAITED] = True
        st.caption(":material/sync: Trying again every two seconds.")
        return
    try:
        with Within(_PATIENCE_S):  # longer than the frame waits: far away, a login takes its time
            cached.client(target).ping()
    except MemDBError:
        st.caption(":material/sync: Trying again every two seconds.")
        return
    cached.index_names.clear()
    cached.index_info.clear()
    cached.server.clear()
    st.rerun()


def damaged_files() -> None:
    """Files under MEMDB_HOME that could not be read since the app began: pages go on without them."""
    lately = [notice for notice in files.NOTICES if time.time() - notice.at < _TOLD_S]
    if lately:
        words = " ".join(markdown(notice.words) for notice in lately)
        st.error(words, title="A file of this app could not be read.", icon=":material/heart_broken:")


def target_name(target: Target) -> Markdown:
    """Its name behind a dot of its colour, as Markdown."""
    colour = target.colour or KIND_LOOK[target.kind][0]
    return f":{markdown(colour)}[⬤] **{markdown(target.name)}**"


def target_badge(target: Target) -> None:
    """Which target this is, of what kind, and whether it may be written: on every page."""
    colour, icon = KIND_LOOK[target.kind]
    with st.container(horizontal=True, gap="small"):
        st.badge(markdown(target.kind), icon=icon, color=colour)  # type: ignore[arg-type]  # one of its colours
        if target.writable:
            st.badge("writable", icon=":material/edit:", color="orange")
        else:
            st.badge("read-only", icon=":material/lock:", color="gray")
        if target.unverified:
            st.badge("TLS not verified", icon=":material/gpp_bad:", color="red")


def unfinished(*infos: IndexInfo) -> None:
    """Where figures of an index are shown: that it is not complete, if so."""
    for info in infos:
        if info.unfinished:
            st.warning(markdown(info.unfinished), icon=":material/construction:")


def start_button(
    on_button: Markdown,
    start: Callable[..., None],
    args: tuple[object, ...],
    *,
    key: str,
    icon: str | None = None,
    disabled: bool = False,
    primary: bool = True,
    width: Literal["content", "stretch"] = "content",
    help: Markdown | None = None,  # noqa: A002  # as Streamlit's own
) -> None:
    """A button that starts what the widgets say when it is pressed.

    A callback gets the arguments of the run before: who changes a widget and presses before the page is drawn
    anew would start the old choice. The press is noted, and answered in the run that has the new one.
    """
    pressed = st.session_state.get(_PRESSED) == key
    if pressed:
        del st.session_state[_PRESSED]
        if not disabled:
            start(*args)
            st.rerun()
    st.button(
        on_button,
        key=key,
        icon=icon,
        type="primary" if primary else "secondary",
        disabled=disabled,
        width=width,
        help=help,
        on_click=_note_press,
        args=(key,),
    )


def _note_press(key: str) -> None:
    st.session_state[_PRESSED] = key


def forget_presses() -> None:
    """At the end of a page: a press that nothing answered, since its button is gone, starts nothing later."""
    st.session_state.pop(_PRESSED, None)


def choose_here(
    on_button: Markdown,
    values: Mapping[str, object],
    *,
    key: str,
    icon: str,
    help: Markdown | None = None,  # noqa: A002  # as Streamlit's own
) -> None:
    """What a link does from another page: widgets of this page, by their keys, take these values.

    A link to the page that is open would change none of them: the browser's own values win over its query.
    """
    st.button(
        on_button, key=key, icon=icon, help=help, type="tertiary", on_click=_choose, args=(dict(values),)
    )


def _choose(values: dict[str, object]) -> None:
    for name, value in values.items():
        st.session_state[name] = value


@dataclass(frozen=True, slots=True)
class Act:
    """What a button starts."""

    on_button: Markdown
    start: Callable[..., None]
    args: tuple[object, ...]


def view_choice(views: Sequence[Markdown], *, key: str) -> str:
    """The views of a page in one row, the first until another is chosen; the link tells which.

    Args:
        views: their names.
        key: of the widget, and its name in the link.
    """
    return st.segmented_control(
        "View",
        views,
        default=views[0],
        required=True,
        key=key,
        bind="query-params",
        wrap=True,
        label_visibility="collapsed",
    )


def empty(
    title: Markdown,
    what_next: Markdown,
    icon: Markdown = ":material/inbox:",
    act: Act | None = None,
    *,
    locked: bool = False,
) -> None:
    """An empty state that says what to do next. Texts are ours, not stored values.

    Args:
        title: what is not there yet.
        what_next: what brings it.
        icon: before the title.
        act: what brings it, as a button.
        locked: the button is seen, and cannot be pressed.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(f"### {icon} {title}", text_alignment="center")
        st.markdown(what_next, text_alignment="center")
        if act is not None:
            start_button(act.on_button, act.start, act.args, key="empty.act", disabled=locked)
        st.space("small")


def copy_as_code(command: Command, target: Target, library: str, *, key: str) -> None:
    """The command that made a result, as redis-cli, as Python with this library, and with bare redis-py."""
    shells = {"redis-cli": "bash", "Python, memdb": "python", "Python, redis-py": "python"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "As",
            list(shells),
            default="redis-cli",
            required=True,
            key=f"{key}.kind",
            label_visibility="collapsed",
        )
        if command.vector is not None:
            st.download_button(
                "vector.bin",
                command.vector,
                file_name="vector.bin",
                icon=":material/download:",
                key=f"{key}.vector",
                on_click="ignore",
                help="The query vector as the command sends it: little-endian numbers.",
            )
    texts = {
        "redis-cli": command.redis_cli(target),
        "Python, memdb": library,
        "Python, redis-py": command.python(target),
    }
    code_block(texts[str(kind)], shells[str(kind)])


def code_block(text: str, language: str | None = None, *, height: int | None = None) -> None:
    """A text to copy: a command, code, a link. Marks in it that would mislead its reader are seen."""
    st.code(plain(text, _LONGEST), language=language, wrap_lines=True, height=height or "content")


def export(frame: pd.DataFrame, name: str, settings: Mapping[str, object], *, key: str) -> None:
    """CSV, JSON and Parquet of a result, with the settings and the time that made it."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {**settings, "exported": stamp}
    with st.container(horizontal=True, gap="small"):
        for kind, mime, make in (
            ("CSV", "text/csv", lambda: exports.to_csv(frame)),
            ("JSON", "application/json", lambda: exports.to_json(frame, about)),
            ("Parquet", "application/vnd.apache.parquet", lambda: exports.to_parquet(frame, about)),
        ):
            st.download_button(
                kind,
                make,
                file_name=f"{line(name, 80)}.{kind.lower()}",
                mime=mime,
                icon=":material/download:",
                key=f"{key}.{kind}",
                on_click="ignore",
            )


def memory_text(size: float | None) -> str:
    """A size, or that the engine does not tell."""
    return "not available from this engine" if size is None else bytes_text(size)
