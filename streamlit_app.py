"""MemoryDB Explorer for `streamlit run`; `memdb app` is the better way (docs/decisions/0001-pages.md)."""

if __name__ == "__main__":  # a visitor's run
    from memdb.ui import frame
    from memdb.ui.metrics import page as metrics

    frame.run(strips=(metrics.sidebar,))
else:  # `streamlit run` takes the web server from here; caches are made once it runs
    from streamlit.starlette import App

    from memdb.ui import served

    served.starting()
    app = App(
        __file__,
        middleware=served.MIDDLEWARE,
        on_script_error=served.crashed,
        lifespan=served.lifespan,
        secrets=served.login_secrets(),
    )
