"""The settings: one table of name, default, kind and help, and the only reader of environment variables.

A setting is a field of `Settings`; its variable is MEMDB_ and the field's name in capitals. The reader,
`memdb settings` and the list in docs/settings.md come from the fields.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from memdb.cluster.address import shown
from memdb.errors import BadSettings

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Kind:
    """How the text of a variable becomes a value.

    `read` takes the variable's name and its text. A secret is never shown.
    """

    words: str
    read: Callable[[str, str], Any]
    secret: bool = False


def _as_given(_: str, text: str) -> str:
    return text


def _stripped(_: str, text: str) -> str:
    return text.strip()


def _lower(_: str, text: str) -> str:
    return text.strip().lower()


def _folder(_: str, text: str) -> Path:
    return Path(text).expanduser().absolute()


def _switch(name: str, text: str) -> bool:
    value = text.strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise BadSettings(f"{name} is {shown(text)}, which is neither on nor off.", f"Set {name} to 1 or 0.")


def _number(name: str, text: str) -> float:
    return _within(name, text, 0, sys.float_info.max, "number of 0 or more")


def _whole(name: str, text: str) -> int:
    value = _number(name, text)
    if value != int(value):
        raise BadSettings(f"{name} is {shown(text)}, which is no whole number.", f"Set {name} to one.")
    return int(value)


def _seconds(name: str, text: str) -> float:
    return _within(name, text, 0.1, 600, "number of seconds from 0.1 to 600")


def _within(name: str, text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BadSettings(f"{name} is {shown(text)}, which is no {what}.", f"Set {name} to a {what}.")
    return value


TEXT = Kind("text", _stripped)
WORD = Kind("word", _lower)
ADDRESS = Kind("address", _stripped, secret=True)  # may carry a password or a token
KEY = Kind("secret", _stripped, secret=True)
PASSWORD = Kind("secret", _as_given, secret=True)  # a blank may belong to it
FOLDER = Kind("folder", _folder)
PATH = Kind("path", _as_given)
SWITCH = Kind("0 or 1", _switch)
NUMBER = Kind("number", _number)
WHOLE = Kind("whole number", _whole)
SECONDS = Kind("seconds", _seconds)


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table. `default` None: it depends on the machine, and `help` says how."""

    name: str
    default: str | float | bool | None
    help: str
    kind: Kind
    part: str

    @property
    def default_text(self) -> str:
        """For people; empty where there is none."""
        if isinstance(self.default, bool):
            return str(int(self.default))
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "" if self.default is None else str(self.default)

    def read(self, env: Mapping[str, str]) -> Any:
        """Its value, or None where the variable is not set or empty.

        Raises:
            BadSettings: the text is no value of its kind.
        """
        text = env.get(self.name, "")
        blank = not text if self.kind is PASSWORD else not text.strip()
        return None if blank else self.kind.read(self.name, text)


def _setting(kind: Kind, default: str | float | bool | None, what: str, *, part: str = "") -> Any:
    options: dict[str, Any] = {} if default is None else {"default": default}
    return field(**options, repr=not kind.secret, metadata={"row": (kind, default, what, part)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked."""

    home: Path = _setting(
        FOLDER,
        None,
        "folder of the local engine's data, kept embeddings, runs and settings; "
        "default: the user's data folder of this system",
        part="This machine",
    )
    engine_server: str = _setting(
        PATH, "", "path of a redis-server for the local engine, instead of the packaged one"
    )
    engine_search: str = _setting(
        PATH, "", "path of a search module for that server; leave out if it has search built in"
    )
    url: str = _setting(
        ADDRESS,
        "",
        "server to open: redis://, rediss:// or unix://, e.g. rediss://user@host:6379; "
        "used when no local engine runs",
        part="The server",
    )
    password: str = _setting(PASSWORD, "", "password for MEMDB_URL, so that it need not stand in the URL")
    writable: bool = _setting(
        SWITCH, False, "1 allows writes to MEMDB_URL; everything else keeps it read-only"
    )
    label: str = _setting(TEXT, "", "name of the target, shown on every page")
    kind: str = _setting(WORD, "", "local, development or production: the colour of the target's badge")
    colour: str = _setting(
        WORD, "", "another colour than the kind's: blue, green, orange, red, violet, yellow or gray"
    )
    timeout: float = _setting(
        SECONDS, 15.0, "seconds that MEMDB_URL has for a call, a batch of commands being one"
    )
    read_from_replicas: bool = _setting(SWITCH, False, "1 lets replicas answer reads of MEMDB_URL")
    target: str = _setting(TEXT, "", "a target of the settings file to open, instead of MEMDB_URL")
    settings: str = _setting(
        TEXT, "", "the settings file with named targets; default: targets.toml in MEMDB_HOME"
    )
    tls_ca: str = _setting(
        TEXT,
        "",
        "PEM file of the authorities to trust for MEMDB_URL, instead of the system's",
        part="TLS and login",
    )
    tls_cert: str = _setting(TEXT, "", "PEM file of our client certificate")
    tls_key: str = _setting(TEXT, "", "PEM file of its private key")
    tls_hostname: str = _setting(
        TEXT, "", "name in the server's certificate, where a tunnel makes the address another"
    )
    tls_verify: bool = _setting(SWITCH, True, "0 takes any certificate, and says so on every page")
    iam_cluster: str = _setting(
        TEXT, "", "AWS's name of the cluster: log in to MEMDB_URL with IAM instead of a password"
    )
    iam_region: str = _setting(TEXT, "", "its AWS Region")
    iam_service: str = _setting(TEXT, "memorydb", "memorydb or elasticache")
    iam_serverless: bool = _setting(SWITCH, False, "an ElastiCache serverless cache")
    budget_queries: float = _setting(
        NUMBER,
        0.0,
        "queries a second that heavy reads of MEMDB_URL may ask; 0: no bound of its own",
        part="Budget of heavy reads",
    )
    budget_keys: int = _setting(WHOLE, 0, "keys that a scan of MEMDB_URL may look at; 0: no bound of its own")
    budget_slow: float = _setting(
        NUMBER, 0.0, "heavy reads stop where latency rises above this multiple; 0: no bound of its own"
    )
    allow_addresses: bool = _setting(
        SWITCH, False, "1 lets visitors of an app served beyond this machine enter addresses", part="The app"
    )
    serve_without_login: bool = _setting(
        SWITCH, False, "1 serves the app beyond this machine without a login, and says so on every page"
    )
    login: str = _setting(
        KEY,
        "",
        "Streamlit's table [auth] as JSON, for a login without the file secrets.toml (docs/connect.md)",
    )
    access: str = _setting(
        TEXT,
        "",
        "the table [access] as TOML, where the settings file has none (docs/connect.md)",
    )
    log: str = _setting(WORD, "text", "text or json: how the app writes its log")
    sample_seconds: float = _setting(
        NUMBER, 2.0, "how often the app samples the opened target for the Metrics page, in seconds; 0: never"
    )
    history_mb: float = _setting(
        NUMBER, 50.0, "size in MB that a target's history of samples may reach under MEMDB_HOME"
    )
    webhook: str = _setting(
        ADDRESS, "", "http(s) address to notify when an alert is raised or clears; may carry a secret"
    )
    embedder: str = _setting(
        TEXT,
        "",
        "model that made the vectors of the indexes, of which the settings file says nothing else: local, "
        "titan:512, cohere:MODEL, openai:MODEL, openai:MODEL@DIMENSION or folder:PATH",
        part="Embedding models",
    )
    embedder_url: str = _setting(TEXT, "", "address of the OpenAI-compatible endpoint, e.g. https://host/v1")
    embedder_key: str = _setting(KEY, "", "its key")
    embedder_timeout: float = _setting(SECONDS, 30.0, "seconds that it has for a call")
    answer_model: str = _setting(
        TEXT,
        "",
        "a Bedrock model that writes the Assistant's answers, e.g. amazon.nova-lite-v1:0",
        part="The Assistant",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read MEMDB_* from the environment.

        Raises:
            BadSettings: the text of a variable is no value of its kind.
        """
        env = os.environ if env is None else env
        values = {name: value for name, row in SETTINGS.items() if (value := row.read(env)) is not None}
        return cls(**{"home": user_data_path("memdb-explorer")} | values)


def _table() -> dict[str, Setting]:
    rows: dict[str, Setting] = {}
    part = ""
    for declared in fields(Settings):
        kind, default, what, named = declared.metadata["row"]
        part = named or part
        rows[declared.name] = Setting(f"MEMDB_{declared.name.upper()}", default, what, kind, part)
    return rows


SETTINGS = _table()  # field of Settings → its row


def inherited() -> dict[str, str]:
    """The environment of this process, for a child to which some variables are added."""
    return dict(os.environ)


def variable(name: str) -> str:
    """A variable that is not ours: one that a settings file names, e.g. with a password, or one of AWS."""
    return os.environ.get(name, "")


def has_screen() -> bool:
    """Whether a browser window could open here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
