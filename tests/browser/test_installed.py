"""deploy/install.sh as on a host, into a prefix: installed, upgraded, served through nginx to a browser, removed.

nginx has TLS, a path prefix and two instances behind it; visitors log in at the tests' own provider. Packages come
from a package index.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, expect
from uv import find_uv_bin

from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.ports import free_port, port_is_free
from tests import oidc
from tests.browser.conftest import drawn, strangers
from tests.conftest import ROOT
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.timeout(900)
INSTALL = ROOT / "deploy" / "install.sh"
ACCESS = '[access]\nlook = ["email=*@example.com"]\nwrite = ["groups=platform"]\n'


@pytest.fixture(scope="module")
def nginx() -> str:
    """Path of nginx; without one the test is skipped, or fails where MEMDB_REQUIRE_BROWSER=1."""
    path = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if path is None:
        message = "No nginx found: on Debian, apt-get install nginx-light."
        if os.environ.get("MEMDB_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def install(*words: str | Path, prefix: Path, uv: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the script; with uv, or with pip alone."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MEMDB_", "PYTHON", "VIRTUAL_ENV"))}
    env["PATH"] = f"{Path(find_uv_bin()).parent}:{env['PATH']}" if uv else "/usr/local/bin:/usr/bin:/bin"
    line = ["sh", str(INSTALL), *map(str, words), "--prefix", str(prefix)]
    return subprocess.run(line, capture_output=True, text=True, env=env, cwd="/", check=False)


def older(wheel: Path, folder: Path, version: str) -> Path:
    """The wheel under another version and without its dependencies: what an upgrade starts from, in a second."""
    before = wheel.name.split("-")[1]
    made = folder / wheel.name.replace(before, version)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith(".dist-info/METADATA"):
                text = re.sub(r"^Requires-Dist: .*\n", "", data.decode(), flags=re.M)
                data = text.replace(f"\nVersion: {before}\n", f"\nVersion: {version}\n").encode()
            if entry.filename.endswith(".dist-info/RECORD"):
                data = re.sub(rf"{before}(?=\.dist-info)", version, data.decode()).encode()
            new.writestr(entry.filename.replace(f"-{before}.dist-info", f"-{version}.dist-info"), data)
    return made


def service(unit: Path) -> tuple[list[str], dict[str, str]]:
    """What systemd would run, and with which variables."""
    text = unit.read_text()
    assert "@" not in re.sub(r"@(system-service)", "", re.sub(r"^#.*$", "", text, flags=re.M))
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.M)
    (file,) = re.findall(r"^EnvironmentFile=(.*)$", text, re.M)
    lines = shlex.split(" ".join(re.findall(r"^Environment=(.*)$", text, re.M)))
    lines += [
        line for line in Path(file).read_text().splitlines() if "=" in line and not line.startswith("#")
    ]
    return shlex.split(command), dict(line.split("=", 1) for line in lines)


@contextlib.contextmanager
def started(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service's process; ended in order."""
    plain = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    with (
        log.open("ab") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=plain | env, cwd="/") as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def certificate(folder: Path) -> None:
    """For localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def location() -> str:
    """The proxy's block, as docs/deploy-anywhere.md has it; before two instances."""
    guide = (ROOT / "docs" / "deploy-anywhere.md").read_text()
    (block,) = re.findall(r"```nginx\n(.*?)```", guide, re.DOTALL)
    assert "proxy_pass http://127.0.0.1:8501;" in block
    sticky = 'add_header Set-Cookie "route=$sticky; Path=/explorer/; Secure; HttpOnly" always;'
    return str(block).replace(
        "proxy_pass http://127.0.0.1:8501;", f"proxy_pass http://explorer;\n    {sticky}"
    )


@contextlib.contextmanager
def proxy(path: str, folder: Path, port: int, behind: list[int]) -> Iterator[None]:
    """nginx with TLS, under /explorer/, each visitor to one of the instances."""
    folder.mkdir()
    certificate(folder)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    servers = "".join(f"server 127.0.0.1:{each};\n" for each in behind)
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            {temporary}
            map $cookie_route $sticky {{ default $cookie_route; "" $request_id; }}
            upstream explorer {{ hash $sticky consistent; {servers} }}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
                {location()}
            }}
        }}
        """
    )
    words = [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with subprocess.Popen(words) as process:
        try:
            until(lambda: not port_is_free(port) or process.poll() is not None, "nginx listens")
            assert process.poll() is None, (folder / "error.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=ssl._create_unverified_context()) as answer:  # noqa: S310, S323
            return bool(answer.status == 200)
    except OSError:
        return False


def test_installed_upgraded_served_and_removed(
    wheel: Path, nginx: str, browser: Browser, demo_target: Target, tmp_path: Path
) -> None:
    prefix, public, ports = tmp_path / "opt", free_port(), [free_port(), free_port()]
    env = {k: v for k, v in environment(demo_target, tmp_path).items() if k != "MEMDB_HOME" and v}
    (tmp_path / "env").write_text("".join(f"{k}={v}\n" for k, v in env.items()))
    options = ["--no-start", "--user", getpass.getuser(), "--python", sys.executable]
    options += ["--port", str(ports[0]), "--path", "/explorer/", "--env", str(tmp_path / "env")]

    done = install("--wheel", older(wheel, tmp_path, "0.0.9"), *options, prefix=prefix, uv=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first = (prefix / "current").resolve()
    (prefix / "home" / "kept").write_text("mine")

    broken = tmp_path / wheel.name
    broken.write_bytes(b"no zip")
    failed = install("--wheel", broken, *options, prefix=prefix)
    assert failed.returncode == 2
    assert (prefix / "current").resolve() == first
    assert [p.name for p in (prefix / "releases").iterdir()] == [first.name]

    done = install("--wheel", wheel, *options, prefix=prefix)
    assert done.returncode == 0, done.stdout + done.stderr
    now = (prefix / "current").resolve()
    assert now != first
    assert [p.name for p in (prefix / "releases").iterdir()] == [now.name]  # the old one is gone
    assert (prefix / "home" / "kept").read_text() == "mine"

    command, variables = service(prefix / "systemd" / "memdb-explorer.service")
    said: dict[str, object] = {"email": "eve@evil.example"}
    with contextlib.ExitStack() as stack:
        issuer = stack.enter_context(oidc.provider(said))
        (prefix / "home" / ".streamlit").mkdir()
        secrets = oidc.secrets(issuer, f"https://localhost:{public}/explorer")
        (prefix / "home" / ".streamlit" / "secrets.toml").write_text(secrets)
        (prefix / "home" / "targets.toml").write_text(ACCESS)
        homes = [prefix / "home", prefix / "home" / "second"]
        shutil.copytree(homes[0], homes[1])
        for port, home in zip(ports, homes, strict=True):
            words = [str(port) if word == str(ports[0]) else word for word in command]
            own = variables | {"MEMDB_HOME": str(home), "HOME": str(home)}
            log = prefix / "log" / f"{port}.log"
            process = stack.enter_context(started(words, own, log))
            base = f"http://127.0.0.1:{port}/explorer/_stcore"
            until(
                lambda base=base, process=process: process.poll() is not None or answers(f"{base}/health"),  # type: ignore[misc]
                "an instance answers health",
            )
            assert process.poll() is None, log.read_text()
            assert answers(f"{base}/ready")
        stack.enter_context(proxy(nginx, tmp_path / "nginx", public, ports))
        assert (prefix / "home" / "version").read_text().strip() == wheel.name.split("-")[1]

        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE_S * 1_000)
        stack.callback(context.close)
        with strangers(context):
            page = context.new_page()
            page.goto(f"https://localhost:{public}/explorer/search")
            log_in = page.get_by_role("button", name="Log in")
            expect(log_in).to_be_visible()
            assert demo_target.address not in page.content()
            log_in.click()
            expect(page.get_by_text("This login is not let in.")).to_be_visible()
            assert demo_target.address not in page.content()
            page.get_by_role("button", name="Log out").click()
            expect(log_in).to_be_visible()
            said.clear()  # from here on it is ada@example.com
            log_in.click()
            sidebar = page.get_by_test_id("stSidebar")
            expect(sidebar.get_by_text("ada@example.com")).to_be_visible()
            expect(sidebar.get_by_text("may look only").first).to_be_visible()
            expect(page.get_by_role("heading", name="Home", exact=True)).to_be_visible()
            sidebar.get_by_role("link", name="Metrics").click()
            expect(page.get_by_role("heading", name="Metrics", exact=True)).to_be_visible()
            drawn(page)
            assert page.url.startswith(f"https://localhost:{public}/explorer/metrics")
            assert len([c for c in context.cookies() if c.get("name") == "route"]) == 1

    told = "".join(path.read_text() for path in (prefix / "log").glob("*.log"))
    assert told.count("The app ends.") == 2
    assert "Traceback" not in told
    assert demo_target.password not in told
    older_now = install("--wheel", older(wheel, tmp_path, "0.0.8"), *options, prefix=prefix)
    assert older_now.returncode == 2
    assert "and this wheel is 0.0.8" in older_now.stderr
    done = install("uninstall", prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert not prefix.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wheel", "/nowhere.whl"], "no wheel '/nowhere.whl'"),
        (["--whel", "x"], "'--whel' is no option"),
        (["--port", "http", "--wheel", "WHEEL"], "--port 'http' is no number"),
        (["--path", "/a b", "--wheel", "WHEEL"], "--path '/a b'"),
        (["--python", "python9", "--wheel", "WHEEL"], "no 'python9'"),
        (["--constraints", "/nowhere", "--wheel", "WHEEL"], "no constraints '/nowhere'"),
        (["--env", "/nowhere", "--wheel", "WHEEL"], "no file '/nowhere'"),
        (["--user", "Root;x", "--wheel", "WHEEL"], "--user 'Root;x' is no name"),
        (["uninstall"], "Nothing is installed in"),
    ],
)
def test_wrong_options_write_nothing(words: list[str], message: str, tmp_path: Path) -> None:
    made = tmp_path / "memdb_explorer-0.1.0-py3-none-any.whl"
    made.write_bytes(b"")
    done = install(*(str(made) if word == "WHEEL" else word for word in words), prefix=tmp_path / "opt")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "opt").exists()


def test_a_folder_of_the_system_is_no_prefix(tmp_path: Path) -> None:
    for folder in ("/", "/usr", "relative"):
        done = install("uninstall", prefix=Path(folder))
        assert done.returncode == 2
        assert "folder of its own" in done.stderr or "no absolute path" in done.stderr
