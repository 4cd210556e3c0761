"""The sidebar's safety panel: writing on production unlocked by typing, the budget, the commands sent."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from memdb import export as exports
from memdb.cluster.budget import budget_of
from memdb.cluster.sent import CommandLog
from memdb.cluster.target import Budget, Target
from memdb.display import code, duration, markdown
from memdb.ui.kit import cached

UNLOCKED = "safety.unlocked"  # address → until when (time.time) this browser may write there
BUDGETS = "safety.budgets"  # address → Budget chosen in this browser
TYPED = "safety.typed"
UNLOCK_S = 15 * 60.0


def guarded(target: Target) -> Target:
    """The target as this browser may use it: production is read-only until its name was typed.

    The client is made for what this returns, so that no page can forget to ask.
    """
    if not target.writable or target.kind != "production" or _unlocked_until(target) > time.time():
        return target
    return target.read_only()


def budget(target: Target) -> Budget:
    """What heavy reads may ask of the target. Call it in the script's thread, not in a job's."""
    chosen: dict[str, Budget] = st.session_state.get(BUDGETS, {})
    return budget_of(target, chosen.get(target.address))


def panel(target: Target) -> None:
    """Draw the sidebar's part; `target` is as configured, before `guarded`."""
    if target.writable and target.kind == "production":
        _lock(target)
    with st.container(horizontal=True, gap="small"):
        with st.popover("Budget", icon=":material/speed:"):
            _budget(target)
        if st.button("Commands", icon=":material/receipt_long:", key="safety.commands"):
            _commands(guarded(target))


def _unlocked_until(target: Target) -> float:
    until: dict[str, float] = st.session_state.get(UNLOCKED, {})
    return until.get(target.address, 0.0)


def _lock(target: Target) -> None:
    seconds = _unlocked_until(target) - time.time()
    if seconds > 0:
        st.caption(f":material/lock_open: Writing is unlocked for {duration(seconds)}.")
        st.button("Lock again", icon=":material/lock:", key="safety.lock", on_click=_set, args=(target, 0.0))
        return
    with st.popover("Unlock writing", icon=":material/lock:"):
        st.markdown(f"This is a **production** target. To write to it, type its name: {code(target.name)}")
        st.text_input("Name of the target", key=TYPED, autocomplete="off")
        st.button("Unlock for 15 minutes", key="safety.unlock", on_click=_unlock, args=(target,))


def _unlock(target: Target) -> None:
    if str(st.session_state.get(TYPED, "")).strip() == target.name:
        _set(target, time.time() + UNLOCK_S)
    else:
        st.toast(f"That is not its name; type {markdown(target.name)}.", icon=":material/error:")
    st.session_state[TYPED] = ""


def _set(target: Target, until: float) -> None:
    unlocked: dict[str, float] = st.session_state.get(UNLOCKED, {})
    st.session_state[UNLOCKED] = {**unlocked, target.address: until}


def _budget(target: Target) -> None:
    current = budget(target)
    st.markdown("What sweeps, scans and exact answers may ask of this server. **0 means no limit.**")
    queries = st.number_input(
        "Searches a second",
        0.0,
        100_000.0,
        current.queries_per_s,
        step=10.0,
        format="%g",
        key="safety.queries",
    )
    keys = st.number_input(
        "Keys read", 0, 1_000_000_000, current.keys_scanned, step=10_000, key="safety.keys"
    )
    factor = st.number_input(
        "Stop when slower by a factor of",
        0.0,
        1_000.0,
        current.slow_factor,
        step=1.0,
        format="%g",
        key="safety.factor",
        help="Multiple of the server's latency at the beginning of the work.",
    )
    wanted = Budget(float(queries), int(keys), float(factor))
    if wanted != current:
        chosen: dict[str, Budget] = st.session_state.get(BUDGETS, {})
        st.session_state[BUDGETS] = {**chosen, target.address: wanted}
    st.caption("Holds in this browser, for work that begins from now on.")


@st.dialog("Commands sent", width="large", icon=":material/receipt_long:")
def _commands(target: Target) -> None:
    log = cached.client(target).log
    frame = table(log)
    st.caption(
        f"What this app sent to {markdown(target.name)}: {log.total:,} commands so far; the last "
        f"{len(frame):,} calls are below. A batch stands under its first command. "
        "Of a key only its pattern is kept, of a value nothing."
    )
    if frame.empty:
        st.info("None yet.", icon=":material/inbox:")
        return
    st.dataframe(
        frame,
        hide_index=True,
        height=420,
        column_config={
            "time": st.column_config.DatetimeColumn(format="HH:mm:ss.SSS"),
            "ms": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.download_button(
        "CSV",
        lambda: exports.to_csv(frame),
        file_name="commands.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="safety.csv",
    )


def table(log: CommandLog) -> pd.DataFrame:
    """The log, newest first."""
    rows = log.entries()[::-1]
    return pd.DataFrame(
        {
            "time": pd.to_datetime([r.at for r in rows], unit="s"),
            "command": [r.name for r in rows],
            "key pattern": [r.pattern for r in rows],
            "commands": [r.commands for r in rows],
            "ms": [r.took_ms for r in rows],
            "outcome": [r.outcome for r in rows],
        }
    )
