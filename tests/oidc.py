"""A small OpenID Connect provider that lets everybody in, as ada@example.com or whom the test says: for the
login's whole way.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT = "explorer"


@contextlib.contextmanager
def provider(said: Mapping[str, object] | None = None) -> Iterator[str]:
    """The provider's address, while it runs. `said` are claims that it makes besides its own; read at each login."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    nonces: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": issuer,
                        "authorization_endpoint": f"{issuer}/authorize",
                        "token_endpoint": f"{issuer}/token",
                        "jwks_uri": f"{issuer}/jwks",
                        "id_token_signing_alg_values_supported": ["RS256"],
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                    }
                )
            elif parts.path == "/authorize":
                code = f"code{len(nonces)}"
                nonces[code] = asked.get("nonce", "")
                self.send_response(302)
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()
            elif parts.path == "/jwks":
                public = key.public_key().public_numbers()
                self._json(
                    {
                        "keys": [
                            {
                                "kty": "RSA",
                                "kid": "k",
                                "use": "sig",
                                "alg": "RS256",
                                "n": _number(public.n),
                                "e": _number(public.e),
                            }
                        ]
                    }
                )
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            now = int(time.time())
            claims = {
                "iss": issuer,
                "sub": "ada",
                "aud": CLIENT,
                "iat": now,
                "exp": now + 300,
                "email": "ada@example.com",
                "nonce": nonces.pop(sent["code"][0]),
                **(said or {}),
            }
            signed = f"{_text({'alg': 'RS256', 'kid': 'k'})}.{_text(claims)}"
            signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            token = f"{signed}.{_encoded(signature)}"
            self._json({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token})

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _json(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()


def secrets(issuer: str, app: str) -> str:
    """The secrets.toml of an app at this address."""
    return f"""
[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "only for this test"
client_id = "{CLIENT}"
client_secret = "secret"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _text(value: object) -> str:
    return _encoded(json.dumps(value).encode())


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8))
