"""The only reader of environment variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from memdb.errors import BadSettings

VARIABLES: dict[str, str] = {
    "MEMDB_HOME": "folder for the local engine's data, embeddings and settings",
    "MEMDB_URL": "server to open, e.g. rediss://user@host:6379; used when no local engine runs",
    "MEMDB_PASSWORD": "password for MEMDB_URL, so that it need not stand in the URL",
    "MEMDB_WRITABLE": "1 allows writes to MEMDB_URL; everything else keeps it read-only",
    "MEMDB_LABEL": "name of the target, shown on every page",
    "MEMDB_KIND": "local, development or production: the colour of the target's badge",
    "MEMDB_COLOUR": "another colour than the kind's: blue, green, orange, red, violet, yellow or gray",
    "MEMDB_TIMEOUT": "seconds that MEMDB_URL has for an answer (15)",
    "MEMDB_TLS_CA": "PEM file of the authorities to trust for MEMDB_URL, instead of the system's",
    "MEMDB_TLS_CERT": "PEM file of our client certificate",
    "MEMDB_TLS_KEY": "PEM file of its private key",
    "MEMDB_TLS_HOSTNAME": "name in the server's certificate, where a tunnel makes the address another",
    "MEMDB_TLS_VERIFY": "0 takes any certificate, and says so on every page",
    "MEMDB_IAM_CLUSTER": "name of the MemoryDB cluster: log in to MEMDB_URL with IAM instead of a password",
    "MEMDB_IAM_REGION": "its AWS Region",
    "MEMDB_READ_FROM_REPLICAS": "1 lets replicas answer reads of MEMDB_URL",
    "MEMDB_BUDGET_QUERIES": "queries a second that heavy reads of MEMDB_URL may ask; 0: no bound of its own",
    "MEMDB_BUDGET_KEYS": "keys that a scan of MEMDB_URL may look at; 0: no bound of its own",
    "MEMDB_BUDGET_SLOW": "heavy reads stop where latency rises above this multiple; 0: no bound of its own",
    "MEMDB_TARGET": "a target of the settings file to open, instead of MEMDB_URL",
    "MEMDB_SETTINGS": "the settings file with named targets (targets.toml in MEMDB_HOME)",
    "MEMDB_ALLOW_ADDRESSES": "1 lets visitors of an app served beyond this machine enter addresses",
    "MEMDB_EMBEDDER": "model of the Assistant's questions: local, titan:512, cohere:MODEL or openai:MODEL",
    "MEMDB_EMBEDDER_URL": "address of the OpenAI-compatible endpoint, e.g. https://host/v1",
    "MEMDB_EMBEDDER_KEY": "its key",
    "MEMDB_ANSWER_MODEL": "a Bedrock model that writes the Assistant's answers, e.g. amazon.nova-lite-v1:0",
    "MEMDB_SAMPLE_SECONDS": "how often the app samples the opened target for the Metrics page (2); 0: never",
    "MEMDB_HISTORY_MB": "size a target's history of samples may reach under MEMDB_HOME (50)",
    "MEMDB_WEBHOOK": "http(s) address that is told when an alert is raised or clears; may carry a secret",
    "MEMDB_ENGINE_SERVER": "path of a redis-server for the local engine, instead of the packaged one",
    "MEMDB_ENGINE_SEARCH": "path of a search module for that server; empty if it has search built in",
}

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked. Field names follow VARIABLES."""

    home: Path
    url: str = field(default="", repr=False)  # may carry a password
    password: str = field(default="", repr=False)
    writable: bool = False
    label: str = ""
    kind: str = ""
    colour: str = ""
    timeout: float = 15.0
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_hostname: str = ""
    tls_verify: bool = True
    iam_cluster: str = ""
    iam_region: str = ""
    read_from_replicas: bool = False
    budget_queries: float = 0.0
    budget_keys: int = 0
    budget_slow: float = 0.0
    target: str = ""
    settings: str = ""
    allow_addresses: bool = False
    embedder: str = ""
    embedder_url: str = ""
    embedder_key: str = field(default="", repr=False)
    answer_model: str = ""
    sample_seconds: float = 2.0
    history_mb: float = 50.0
    webhook: str = field(default="", repr=False)
    engine_server: str = ""
    engine_search: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read MEMDB_* from the environment.

        Raises:
            BadSettings: a switch is neither on nor off, or the timeout is no number of seconds.
        """
        env = os.environ if env is None else env
        home = env.get("MEMDB_HOME", "")
        return cls(
            home=Path(home).expanduser().absolute() if home else user_data_path("memdb-explorer"),
            url=env.get("MEMDB_URL", "").strip(),
            password=env.get("MEMDB_PASSWORD", ""),
            writable=_switch(env, "MEMDB_WRITABLE"),
            label=env.get("MEMDB_LABEL", "").strip(),
            kind=env.get("MEMDB_KIND", "").strip().lower(),
            colour=env.get("MEMDB_COLOUR", "").strip().lower(),
            timeout=_seconds(env, "MEMDB_TIMEOUT", 15.0),
            tls_ca=env.get("MEMDB_TLS_CA", "").strip(),
            tls_cert=env.get("MEMDB_TLS_CERT", "").strip(),
            tls_key=env.get("MEMDB_TLS_KEY", "").strip(),
            tls_hostname=env.get("MEMDB_TLS_HOSTNAME", "").strip(),
            tls_verify=_switch(env, "MEMDB_TLS_VERIFY", default=True),
            iam_cluster=env.get("MEMDB_IAM_CLUSTER", "").strip(),
            iam_region=env.get("MEMDB_IAM_REGION", "").strip(),
            read_from_replicas=_switch(env, "MEMDB_READ_FROM_REPLICAS"),
            budget_queries=_number(env, "MEMDB_BUDGET_QUERIES"),
            budget_keys=int(_number(env, "MEMDB_BUDGET_KEYS")),
            budget_slow=_number(env, "MEMDB_BUDGET_SLOW"),
            target=env.get("MEMDB_TARGET", "").strip(),
            settings=env.get("MEMDB_SETTINGS", "").strip(),
            allow_addresses=_switch(env, "MEMDB_ALLOW_ADDRESSES"),
            embedder=env.get("MEMDB_EMBEDDER", "").strip(),
            embedder_url=env.get("MEMDB_EMBEDDER_URL", "").strip(),
            embedder_key=env.get("MEMDB_EMBEDDER_KEY", "").strip(),
            answer_model=env.get("MEMDB_ANSWER_MODEL", "").strip(),
            sample_seconds=_number(env, "MEMDB_SAMPLE_SECONDS", 2.0),
            history_mb=_number(env, "MEMDB_HISTORY_MB", 50.0),
            webhook=env.get("MEMDB_WEBHOOK", "").strip(),
            engine_server=env.get("MEMDB_ENGINE_SERVER", ""),
            engine_search=env.get("MEMDB_ENGINE_SEARCH", ""),
        )


def inherited() -> dict[str, str]:
    """The environment of this process, for a child to which some variables are added."""
    return dict(os.environ)


def variable(name: str) -> str:
    """A variable that a settings file names, e.g. with a password."""
    return os.environ.get(name, "")


def has_screen() -> bool:
    """Whether a browser window could open here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    value = env.get(name, "").strip()
    try:
        found = float(value) if value else default
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 600:
        raise BadSettings(
            f"{name} is '{value}', which is no number of seconds.", f"Set {name} to 0.1 to 600."
        )
    return found


def _number(env: Mapping[str, str], name: str, default: float = 0.0) -> float:
    value = env.get(name, "").strip()
    try:
        found = float(value) if value else default
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise BadSettings(f"{name} is '{value}', which is no number of 0 or more.", f"Mend {name}.")
    return found


def _switch(env: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    value = env.get(name, "").strip().lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise BadSettings(f"{name} is '{value}', which is neither on nor off.", f"Set {name}=1 or leave it out.")
