"""The Connect page's test: the doctor's walk, shown step by step as it is done, kept until the next."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.cluster import doctor
from memdb.cluster import targets as library
from memdb.cluster.doctor import Diagnosis, DoctorStep
from memdb.cluster.target import Target
from memdb.display import line, markdown
from memdb.errors import MemDBError, NotFound
from memdb.ui.kit import parts, targets

_ASKED = "connect.asked"  # name of the target to test in this run
_TRIED = "targets.tried"  # a target that is tested but not kept, perhaps with a password
_LOOKS = {
    "ok": ":green[:material/check_circle:]",
    "note": ":orange[:material/info:]",
    "failed": ":red[:material/cancel:]",
    "skipped": ":gray[:material/remove:]",
}


def ask(name: str) -> None:
    """A callback: test this target of the list."""
    st.session_state[_ASKED] = name
    st.session_state.pop(_TRIED, None)


def ask_for(name: str, target: Target) -> None:
    """Test a target that is not in the list (yet)."""
    st.session_state[_TRIED] = {"name": name, "target": target}
    st.session_state[_ASKED] = name


def result() -> None:
    """The walk that was asked for, or the last one."""
    request = st.session_state.pop(_ASKED, None)
    if request is not None:
        try:
            target = _target(request)
        except MemDBError as exc:
            parts.show_error(exc)
            return
        with st.container(border=True):
            st.markdown(f"#### Testing {markdown(request)}")
            steps = []
            with st.spinner("Asking, a step after the other"):
                for step in doctor.walk(target):
                    steps.append(step)
                    _row(step)
        st.session_state["connect.seen"] = {"name": request, "target": target.address, "steps": tuple(steps)}
        st.session_state["connect.toml"] = library.as_toml(request, target)
        st.rerun()  # the buttons below the walk are drawn with it
    report_seen = st.session_state.get("connect.seen")
    if report_seen is not None:
        _shown(report_seen["name"], Diagnosis(report_seen["target"], report_seen["steps"]))


def _close() -> None:
    for key in ("connect.seen", "connect.toml", _TRIED):
        st.session_state.pop(key, None)


def _target(name: str) -> Target:
    tried = st.session_state.get(_TRIED)
    if tried is not None and tried["name"] == name:
        target: Target = tried["target"]
        return target
    targets.forget()  # a test is of what the password is now
    for named in targets.listed():
        if named.name == name:
            return targets.open_named(named)
    raise NotFound(name, "target")


def _shown(name: str, diagnosis: Diagnosis) -> None:
    with st.container(border=True, key="connect-result"):
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            st.markdown(f"#### Test of {markdown(name)}", width="content")
            st.button("Close", icon=":material/close:", key="connect.close", on_click=_close, type="tertiary")
        if diagnosis.ok:
            st.success(markdown(diagnosis.sentence), icon=":material/check_circle:")
        else:
            st.error(markdown(diagnosis.sentence), icon=":material/error:")
        for step in diagnosis.steps:
            _row(step)
        with st.expander("As a table, as a file, as a command", icon=":material/table:"):
            frame = pd.DataFrame(
                {
                    "step": [s.name for s in diagnosis.steps],
                    "outcome": [s.outcome for s in diagnosis.steps],
                    "saw": [line(s.saw, 300) for s in diagnosis.steps],
                    "to do": [line(s.todo, 300) for s in diagnosis.steps],
                    "ms": [round(s.ms, 1) for s in diagnosis.steps],
                }
            )
            st.dataframe(frame, hide_index=True, key="connect.steps")
            parts.export(frame, "doctor", {"address": diagnosis.address}, key="connect.steps_export")
            st.caption("The same in a shell; a password goes into MEMDB_PASSWORD.")
            parts.code_block(f"memdb doctor --url {diagnosis.address} --json", "bash")
            st.caption("This target as the settings file holds it:")
            parts.code_block(st.session_state.get("connect.toml", ""), "toml")


def _row(step: DoctorStep) -> None:
    name, saw, ms = st.columns([1.3, 7, 0.8], gap="small")
    name.markdown(f"{_LOOKS[step.outcome]} **{markdown(step.name)}**")
    saw.markdown(markdown(step.saw) + (f"  \n:gray[{markdown(step.todo)}]" if step.todo else ""))
    ms.caption(f"{step.ms:.1f} ms" if step.ms >= 0.05 else "")
