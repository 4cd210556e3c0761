"""Changes to many sessions: a dry run, a typed confirmation, and the work as a job; or an export of them."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, code, counted, line, markdown
from memdb.jobs import Job
from memdb.sessions import bulk
from memdb.sessions.bulk import Action, Done, DryRun, ExportFile
from memdb.sessions.filters import SessionFilter
from memdb.sessions.listing import powers
from memdb.sessions.mapping import Format
from memdb.sessions.redact import hidden_summary
from memdb.sessions.strategy import SHARED
from memdb.ui.kit import cached, parts, privacy, safety
from memdb.ui.kit.job import JobSlot
from memdb.ui.sessions import filter_bar, listing

PLANNING = JobSlot[DryRun]("sessions.bulk.planning", every="0.5s")
DOING = JobSlot[Done]("sessions.bulk.doing", every="0.5s")
TYPED = "sessions.bulk.typed"
EXPORTING = JobSlot[ExportFile]("sessions.bulk.exporting", every="0.5s")
ACTIONS = ("Delete", "Expire", "Keep for good", "Export")
MOST_BYTES = 128 * 2**20  # of an export that goes to a browser
LIVES = {
    "1 minute": 60.0,
    "10 minutes": 600.0,
    "30 minutes": 1_800.0,
    "1 hour": 3_600.0,
    "6 hours": 21_600.0,
    "1 day": 86_400.0,
    "7 days": 7 * 86_400.0,
    "30 days": 30 * 86_400.0,
}


def view(target: Target, format_: Format) -> None:
    """Draw it."""
    wanted = filter_bar.bar(format_)
    action = _action(format_)
    parts.start_button(
        "Dry run",
        _plan,
        (target, format_, wanted, action),
        icon=":material/search:",
        key="sessions.bulk.plan",
        disabled=_running(),
        help="Finds the sessions that pass the filter above. Nothing is written.",
    )
    PLANNING.watch(_so_far)
    DOING.watch(_so_far)
    EXPORTING.watch()
    _planned(target, format_, wanted, action)
    _done(target)


def _action(format_: Format) -> Action:
    if not powers(format_).writes:
        st.caption(f":material/edit_off: Sessions of this format are exported, not changed. {SHARED}")
        return Action("export")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control(
            "Change",
            ACTIONS,
            default="Expire",  # nothing that cannot be undone is chosen for somebody
            required=True,
            key="sessions.bulk.action",
            bind="query-params",
        )
        if chosen == "Expire":
            life = st.selectbox(
                "in", list(LIVES), index=2, key="sessions.bulk.life", bind="query-params", width=160
            )
            return Action("expire", LIVES[life])
    kinds: dict[str | None, Literal["delete", "persist", "export"]] = {
        "Delete": "delete",
        "Keep for good": "persist",
    }
    return Action(kinds.get(chosen, "export"))


def _planned(target: Target, format_: Format, wanted: SessionFilter, action: Action) -> None:
    job = PLANNING.outcome(target)
    if job is None:
        if PLANNING.job() is None and DOING.job() is None:
            parts.empty(
                "Nothing is changed yet",
                "Choose a filter and a change, then *Dry run*: it counts the sessions and shows some.",
                ":material/checklist:",
            )
        return
    planned = job.result
    if planned is None:
        return
    if (planned.format, planned.wanted, planned.action) != (format_, wanted, action):
        st.info(
            "The format, the filter or the change is another now: run it dry again.", icon=":material/update:"
        )
        return
    if job.state.status == "cancelled":
        st.caption(":material/stop_circle: Cancelled: what was found until then.")
    st.markdown(f"**{markdown(planned.words)}**")
    if not planned.sessions:
        st.caption("No session passes this filter. Loosen it.")
        return
    if planned.sample:
        st.caption(f"The first {len(planned.sample)} of them:")
        hide = privacy.hiding(target)
        sample = [hidden_summary(s) for s in planned.sample] if hide else planned.sample
        frame = listing.table_of(sample, 0.0)
        st.dataframe(frame, hide_index=True, column_config=listing.columns(frame), placeholder="–")
    keys = pd.DataFrame({"key": [line(key, 300) for key in planned.keys]})
    parts.export(
        keys, "planned", {"target": target.address, "plan": planned.words}, key="sessions.bulk.export"
    )
    if planned.action.writes:
        _confirmation(target, planned)
    else:
        _export(target, planned)


def _export(target: Target, planned: DryRun) -> None:
    st.button(
        f"Read {markdown(counted(len(planned.sessions), 'session'))}",
        icon=":material/data_object:",
        type="primary",
        key="sessions.bulk.read",
        on_click=_read,
        args=(target, planned),
        disabled=_running(),
        help="JSON, a session a line: turns with all their parts, and every field as stored.",
    )
    job = EXPORTING.outcome(target, about=planned.sessions)
    file = job.result if job is not None else None
    if file is None:
        return
    count_words = counted(file.sessions, "session")
    if not file.whole:
        st.warning(
            f"An export holds at most {bytes_text(MOST_BYTES)}: {markdown(count_words)} of "
            f"{len(planned.sessions):,} are in it. The command line has no such limit.",
            icon=":material/content_cut:",
        )
    st.download_button(
        f"Save {markdown(count_words)}, {bytes_text(len(file.lines))}",
        file.lines,
        file_name="sessions.jsonl",
        mime="application/jsonl",
        icon=":material/download:",
        key="sessions.bulk.save",
        on_click="ignore",
    )


def _read(target: Target, planned: DryRun) -> None:
    client, hide = cached.client(target), privacy.hiding(target)

    def work(job: Job[ExportFile]) -> ExportFile:
        return bulk.export_file(client, planned, MOST_BYTES, hide=hide, report=job.report)

    EXPORTING.start("Read sessions", work, about=planned.sessions)


def _confirmation(target: Target, planned: DryRun) -> None:
    if not target.writable:
        st.info("This target is read-only: nothing can be changed from here.", icon=":material/lock:")
        return
    if target.kind == "production":
        st.warning(f"{markdown(target.name)} is a production target.", icon=":material/warning:")
    undo = " There is no undo." if planned.action.kind == "delete" else ""
    with st.form("sessions.bulk.form", border=True, enter_to_submit=False):
        st.text_input(
            f"Type {code(planned.phrase)} to {markdown(planned.action.words)} "
            f"{markdown(counted(len(planned.sessions), 'session'))}."
            f"{undo}",
            key=TYPED,
            placeholder=line(planned.phrase),
        )
        st.form_submit_button(
            markdown(f"{planned.action.kind.capitalize()} {counted(len(planned.sessions), 'session')}"),
            icon=":material/bolt:",
            on_click=_do,
            args=(target, planned),
            disabled=_running(),
        )
    if st.session_state.pop("sessions.bulk.wrong", False):
        st.error(f"That was not {code(planned.phrase)}. Nothing was changed.", icon=":material/error:")


def _done(target: Target) -> None:
    job = DOING.outcome(target)
    if job is None:
        return
    if job.result is not None:
        if job.state.status == "done":
            st.success(markdown(job.result.words), icon=":material/check:")
        else:
            st.warning(f"Ended early. {markdown(job.result.words)}", icon=":material/stop_circle:")
    elif job.state.status == "cancelled":
        st.caption(":material/stop_circle: Cancelled before anything was changed.")


def _plan(target: Target, format_: Format, wanted: SessionFilter, action: Action) -> None:
    opened, budget = cached.client(target), safety.budget(target)

    def work(job: Job[DryRun]) -> DryRun:
        client = opened.budgeted(budget)
        return bulk.plan(client, wanted, action, format_, report=job.report, keep=job.keep)

    PLANNING.start("Dry run", work)
    DOING.forget()
    st.session_state[TYPED] = ""


def _do(target: Target, planned: DryRun) -> None:
    if str(st.session_state.get(TYPED, "")).strip().lower() != planned.phrase:
        st.session_state["sessions.bulk.wrong"] = True
        return
    client = cached.client(target)

    def work(job: Job[Done]) -> Done:
        return bulk.apply(client, planned, report=job.report, keep=job.keep)

    DOING.start("Change sessions", work)
    PLANNING.forget()
    listing.refresh()


def _running() -> bool:
    return any(slot.current() is not None for slot in (PLANNING, DOING, EXPORTING))


def _so_far(result: DryRun | Done | None) -> None:
    if result is not None:
        st.caption(markdown(result.words))
