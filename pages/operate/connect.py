"""Connect: which servers can be opened, whether they answer, and how to add one."""

import streamlit as st

from memdb.ui import connect_discover, connect_form, connect_list, connect_test

st.title("Connect")
st.caption("Which servers can be opened, whether they answer, and what to do where they do not.")

connect_test.result()
connect_list.targets_list()
left, right = st.columns(2, gap="medium")
with left:
    connect_form.panel()
with right:
    connect_discover.panel()
