"""A button that starts work: with what the widgets say at the press, not with what the page last showed."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from memdb.ui.kit import parts

    st.session_state.setdefault("started", [])

    def start(chosen: str, count: int) -> None:
        st.session_state["started"].append((chosen, count))

    chosen = str(st.selectbox("Index", ["old", "new"], key="chosen"))
    count = int(st.number_input("Count", value=1, key="count"))
    if st.toggle("Shown", True, key="shown"):
        parts.start_button("Start", start, (chosen, count), key="start", disabled=count > 5)
    parts.forget_presses()


def pressed(app: AppTest) -> list[tuple[str, int]]:
    app.button(key="start").click()
    app.run()
    assert not app.exception
    return started(app)


def started(app: AppTest) -> list[tuple[str, int]]:
    """What was started so far, in order."""
    kept: list[tuple[str, int]] = app.session_state["started"]
    return kept


def test_a_press_starts_what_was_chosen_just_before_it() -> None:
    app = AppTest.from_function(_page).run()
    assert pressed(app) == [("old", 1)]
    app.selectbox(key="chosen").set_value("new")
    app.number_input(key="count").set_value(3)
    assert pressed(app) == [("old", 1), ("new", 3)], "both were changed in the run of the press"
    app.run()
    assert started(app) == [("old", 1), ("new", 3)], "a press starts once"


def test_a_press_with_what_cannot_be_started_starts_nothing_later() -> None:
    app = AppTest.from_function(_page).run()
    app.number_input(key="count").set_value(9)
    assert pressed(app) == []
    app.number_input(key="count").set_value(2)
    app.run()
    app.toggle(key="shown").set_value(False)
    assert pressed(app) == [], "the button was taken away in the run of its press"
    app.toggle(key="shown").set_value(True)
    app.run()
    assert started(app) == []
