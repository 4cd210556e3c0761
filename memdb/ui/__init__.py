"""The screens' side: the only part of memdb that imports Streamlit."""
