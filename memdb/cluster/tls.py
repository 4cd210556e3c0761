"""TLS of a target: builds the context, for client and doctor alike, and words what goes wrong."""

from __future__ import annotations

import ssl
from pathlib import Path

from memdb.cluster.target import Target
from memdb.errors import BadSettings, MemDBError, Unreachable


def context(target: Target) -> ssl.SSLContext:
    """How to speak TLS with this target: at least 1.2, as MemoryDB asks.

    A CA of the target's own replaces the system's: nothing else is trusted then.

    Raises:
        BadSettings: a file cannot be read or holds no certificate, or the key does not belong to it.
    """
    tls = target.tls
    for name, path in (("CA", tls.ca), ("client certificate", tls.cert), ("client key", tls.key)):
        if path and not Path(path).expanduser().is_file():
            raise BadSettings(f"There is no {name} file '{path}'.", "Give the path of a PEM file.")
    if tls.key and not tls.cert:
        raise BadSettings("A client key is set, but no client certificate.", "Set both, as PEM files.")
    try:
        tls_context = ssl.create_default_context(cafile=_path(tls.ca))
    except OSError as exc:  # ssl.SSLError is one
        raise BadSettings(
            f"The CA file '{tls.ca}' cannot be used: {_reason(exc)}.", "It must hold PEM certificates."
        ) from exc
    tls_context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert:
        try:
            # An empty passphrase: a protected key is refused, and never asked for on a terminal.
            tls_context.load_cert_chain(_path(tls.cert) or "", _path(tls.key), password="")
        except (OSError, ValueError) as exc:
            raise BadSettings(
                f"The client certificate '{tls.cert}' cannot be used: {_reason(exc)}.",
                "Give certificate and key as PEM files that belong together; the key without a passphrase.",
            ) from exc
    if not tls.verify:
        tls_context.check_hostname = False
        tls_context.verify_mode = ssl.CERT_NONE
    return tls_context


def server_name(target: Target) -> str:
    """The name that the server's certificate must carry, also sent to it (SNI)."""
    return target.tls.hostname or target.host


def explain(reason: str, target: Target) -> MemDBError | None:
    """A failed handshake as an error for people; None where the words are not about TLS.

    Args:
        reason: OpenSSL's words, as ssl.SSLError or redis-py repeats them.
        target: names the address in the message.
    """
    low = reason.lower()
    where = target.address
    if "hostname mismatch" in low or "ip address mismatch" in low:
        return Unreachable(
            f"The certificate of {where} is for another name than '{server_name(target)}'.",
            "Use the name the certificate carries; through a tunnel, keep the address and set the server's "
            "real name as TLS host name (MEMDB_TLS_HOSTNAME).",
        )
    if "certificate has expired" in low or "not yet valid" in low:
        return Unreachable(
            f"The certificate of {where} is out of date.",
            "The server needs a new certificate; check this machine's clock too.",
        )
    if "certificate verify failed" in low or "certificate_verify_failed" in low:
        trusted = f"the CA file '{target.tls.ca}'" if target.tls.ca else "this system's authorities"
        return Unreachable(
            f"The certificate of {where} is not signed by {trusted}.",
            "Name the file of the authority that signed it (MEMDB_TLS_CA), or check that this is the server "
            "you mean.",
        )
    if any(word in low for word in ("certificate required", "certificate_required", "bad certificate")):
        return Unreachable(
            f"{where} wants a client certificate that it knows.",
            "Name certificate and key (MEMDB_TLS_CERT, MEMDB_TLS_KEY).",
        )
    if any(word in low for word in ("unknown ca", "unknown_ca", "unsupported certificate")):
        return Unreachable(
            f"{where} does not accept our client certificate.",
            "Use a certificate from the authority that the server trusts (MEMDB_TLS_CERT, MEMDB_TLS_KEY).",
        )
    if any(word in low for word in ("wrong version", "wrong_version", "record layer", "record_layer")):
        return Unreachable(
            f"{where} answered, but not in TLS.", "This looks like a plain port: try redis:// for rediss://."
        )
    if "handshake" in low or "eof occurred" in low or "ssl" in low:
        return Unreachable(
            f"The TLS handshake with {where} failed: {reason.rstrip('.')}.",
            "If the server speaks without TLS, try redis:// for rediss://. It may also want a client "
            "certificate (MEMDB_TLS_CERT, MEMDB_TLS_KEY), or another version of TLS.",
        )
    return None


def _path(path: str) -> str | None:
    return str(Path(path).expanduser()) if path else None


def _reason(exc: OSError | ValueError) -> str:
    return (getattr(exc, "reason", None) or getattr(exc, "strerror", None) or str(exc)).rstrip(".")
