"""moto's server, and answers that it does not have, put before the clients that the app makes in this process.

An answer goes through botocore's own parser and retries; its fields are those of botocore's model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.server import ThreadedMotoServer

from memdb.cluster import aws

Answer = Callable[[], tuple[int, str]]  # status and body


@contextlib.contextmanager
def moto_server() -> Iterator[dict[str, str]]:
    """AWS as moto has it, for all that reads the environment meanwhile: the variables that lead there."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            yield variables
    finally:
        server.stop()


def ok(operation: str, inside: str = "") -> tuple[int, str]:
    """A reply of the query protocol."""
    return 200, f"<{operation}Response><{operation}Result>{inside}</{operation}Result></{operation}Response>"


def refused(code: str, message: str, status: int = 400) -> tuple[int, str]:
    """An error of the query protocol."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"


def put_before(patch: pytest.MonkeyPatch, answers: dict[str, Answer], service: str = "elasticache") -> None:
    """Have operations of a service answered here; all others go on to the endpoint.

    Args:
        patch: takes it back.
        answers: for each operation's name, as botocore has it, what makes its answer.
        service: boto3's name.
    """
    made = aws.client

    def fronted(name: str, region: str = "") -> Any:
        client = made(name, region)
        if name == service:
            for operation, answer in answers.items():
                client.meta.events.register(f"before-send.{service}.{operation}", _sender(answer))
        return client

    patch.setattr(aws, "client", fronted)


def _sender(answer: Answer) -> Callable[..., AWSResponse]:
    def send(request: Any, **_: Any) -> AWSResponse:
        status, body = answer()
        return AWSResponse(request.url, status, {"content-type": "text/xml"}, _Raw(body.encode()))

    return send


class _Raw:
    """The body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_: object, **__: object) -> list[bytes]:
        """The whole body at once."""
        return [self.body]
