"""The Streamlit app as a child: where its files are, what it is told, whether it answers."""

from __future__ import annotations

import http.client
import sys
import threading
import webbrowser
from pathlib import Path

import memdb
from memdb.child import Child, Order
from memdb.cluster.target import Target
from memdb.errors import EngineUnavailable
from memdb.ports import port_is_free
from memdb.settings import has_screen, inherited

_HEALTH = "/_stcore/health"
_GRACE_S = 25.0  # its jobs have 20 s to keep what they have (memdb/ui/served.py)


class App:
    """The running app. Ends with `stop`, and with this process."""

    def __init__(self, target: Target, *, port: int, home: Path) -> None:
        self._target, self._port, self._home = target, port, home
        self._child = self._launch()

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://localhost:{self._port}"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self._child.order.log

    def status(self) -> int | None:
        """None while it runs, else its exit status."""
        return self._child.status

    def last_words(self) -> str:
        """For a message: the last line it printed, and where the rest is."""
        lines = [line.strip() for line in self._child.tail() if line.strip()]
        last_line = f"It said: {lines[-1]} " if lines else ""
        return f"{last_line}Its log is {self.log}."

    def answers(self) -> bool:
        """Whether it serves pages. Waits at most a second."""
        connection = http.client.HTTPConnection("localhost", self._port, timeout=1)
        try:
            connection.request("GET", _HEALTH)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def restart(self) -> None:
        """Start it again on the same port."""
        self._child.stop()
        self._child = self._launch()

    def stop(self) -> None:
        """End it and wait for its end."""
        self._child.stop()

    def _launch(self) -> Child:
        return Child(
            Order(
                argv=served_by(address="localhost", port=self._port),
                directory=app_folder(),
                log=self._home / "logs" / "app.log",
                grace_s=_GRACE_S,
            ),
            # By the environment and not as arguments, which every user of the machine can read.
            env=inherited() | environment(self._target, self._home),
        )


def served_by(*, address: str, port: int, path: str = "") -> tuple[str, ...]:
    """The command that serves the app; it is run in `app_folder()`.

    Args:
        address: to listen on. Beyond this machine the app does not start without a login.
        port: to listen on.
        path: prefix of all addresses, as a proxy passes it on.
    """
    options = {
        "server.port": str(port),
        "server.address": address,
        "server.baseUrlPath": path.strip("/"),
        "server.headless": "true",  # it neither opens a browser nor asks for an e-mail address
    }
    return (
        sys.executable,
        *("-m", "streamlit", "run", str(Path(memdb.__file__).parent / "ui" / "entry.py")),
        *(part for name, value in options.items() if value for part in (f"--{name}", value)),
    )


def app_folder() -> Path:
    """The folder of streamlit_app.py, its pages and its .streamlit: the checkout, or inside the package.

    Raises:
        EngineUnavailable: the installation lacks them.
    """
    package = Path(memdb.__file__).parent
    for folder in (package.parent, package / "_app"):
        if (folder / "streamlit_app.py").is_file() and (folder / "pages").is_dir():
            return folder
    raise EngineUnavailable(
        f"The app's files are not in {package / '_app'}.", "Install memdb-explorer again from its wheel."
    )


def environment(target: Target, home: Path) -> dict[str, str]:
    """The variables from which memdb.settings reads this target again."""
    return {
        "MEMDB_HOME": str(home),
        "MEMDB_URL": target.url,
        "MEMDB_TARGET": "",  # said by MEMDB_URL already
        "MEMDB_PASSWORD": target.password,
        "MEMDB_WRITABLE": "1" if target.writable else "0",
        "MEMDB_LABEL": target.label,
        "MEMDB_KIND": target.kind,
        "MEMDB_COLOUR": target.colour,
        "MEMDB_TIMEOUT": f"{target.timeout_s:g}",
        "MEMDB_TLS_CA": target.tls.ca,
        "MEMDB_TLS_CERT": target.tls.cert,
        "MEMDB_TLS_KEY": target.tls.key,
        "MEMDB_TLS_HOSTNAME": target.tls.hostname,
        "MEMDB_TLS_VERIFY": "1" if target.tls.verify else "0",
        "MEMDB_IAM_CLUSTER": target.iam.cluster if target.iam else "",
        "MEMDB_IAM_REGION": target.iam.region if target.iam else "",
        "MEMDB_IAM_SERVICE": target.iam.service if target.iam else "",
        "MEMDB_IAM_SERVERLESS": "1" if target.iam and target.iam.serverless else "0",
        "MEMDB_BUDGET_QUERIES": str(target.budget.queries_per_s),
        "MEMDB_BUDGET_KEYS": str(target.budget.keys_scanned),
        "MEMDB_BUDGET_SLOW": str(target.budget.slow_factor),
        "MEMDB_READ_FROM_REPLICAS": "1" if target.read_from_replicas else "0",
    }


def check_port(port: int) -> None:
    """Refuse a port that another program has.

    Raises:
        EngineUnavailable: it is taken.
    """
    if not port_is_free(port):
        raise EngineUnavailable(
            f"Port {port} is taken: another program, perhaps another `memdb demo`, listens on it.",
            f"End that program, or choose another port: `make demo PORT={port + 1}`, "
            f"`memdb demo --port {port + 1}`.",
        )


def open_browser(url: str) -> None:
    """Show the page, where there is a screen; a browser that does not start is no error."""
    if has_screen():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
