"""The tap: it stands between an application and its server, and passes every byte as it came.

One thread and one loop for the bytes of all connections (others dial): a byte goes on before anything else is
done with it. What went on
is read a moment later, many pieces at once: who was just woken often runs on this processor, and waits until
it is free. Nobody logs in here; the application does, with its own words.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from memdb.cluster import tls
from memdb.cluster.target import LOOPBACK, Target
from memdb.cluster.wire import CONNECT_S
from memdb.errors import BadInput, Unreachable
from memdb.tap.follow import Follower
from memdb.tap.record import Recorder

MOST_CLIENTS = 1_000
_AT_ONCE = 64 << 10  # bytes of one read: a larger buffer is fetched from the system each time
_TURNS = 32  # reads of one socket before the others have theirs
_HIGH = 1 << 20  # bytes that wait for a slow reader, before its sender waits too
_CONNECTING = 32  # connections to the server that are made at a time
_AGAIN_S = 0.5
_UNREAD = 128 << 10  # bytes that wait to be read, at most
# How long they wait at most, and a limit of each wait for traffic: one of 2 ms, armed and disarmed each time,
# took a sixth of a search's time on a virtual machine (benchmarks/tap.py).
_READ_S = 0.02
_SAME_S = 60.0  # the same trouble is told once in so long
READ, WRITE = 1, 4  # POLLIN and POLLOUT, as `poll` and `epoll` call them

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Passed:
    """What went through since the tap began."""

    clients: int  # connections, those that ended included
    refused: int  # of them closed at once: no server, or too many
    commands: int
    searches: int  # nearest-neighbour searches among them
    unfollowed: int  # connections whose commands could not be read to the end


class Proxy:
    """Listens from its making on; `run` passes on until `stop`."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        *,
        host: str = "127.0.0.1",
        port: int = 6390,
        remote: bool = False,
        say: Say = lambda text: None,
    ) -> None:
        """Begin to listen.

        Args:
            target: the server; its user and password are not used.
            recorder: what keeps searches.
            host: the address to listen on.
            port: 0 takes a free one.
            remote: allow an address that other machines reach.
            say: told in a sentence what goes wrong.

        Raises:
            BadInput: the address or port cannot be listened on, or is not of this machine alone.
            BadSettings: the target's TLS settings cannot be used.
            Unreachable: the server does not answer.
        """
        if not remote and not _is_loopback(host):
            raise BadInput(
                f"Other machines could reach {host}: passwords and data would pass there without TLS.",
                "Listen on 127.0.0.1, or allow it with --remote.",
            )
        self.target, self._recorder, self._say = target, recorder, say
        self._context = tls.context(target) if target.scheme == "rediss" else None
        self._listener = _listener(host, port)
        try:
            self._dial(time.monotonic() + CONNECT_S).close()
            self._listener.setblocking(False)
            self.port = int(self._listener.getsockname()[1])
            self.host = host
            self.ready = _Ready()
            self._wake_up, self._woken = socket.socketpair()
        except BaseException:
            self._listener.close()
            raise
        for end in (self._wake_up, self._woken):
            end.setblocking(False)
        self._connected: deque[tuple[socket.socket, socket.socket | None]] = deque()
        self._pairs: set[_Pair] = set()
        # What has gone on and waits to be read: of whom, whether its client sent it, when it came.
        self.unread: list[tuple[_Pair, bool, bytes, float]] = []
        self.unread_bytes = 0
        self._connecting = self._clients = self._refused = 0
        self._ended = (0, 0, 0)  # commands, searches, unfollowed of connections that ended
        self._told: dict[str, float] = {}
        self._stopping = False
        self._paused = 0.0  # until when no clients are taken; 0: they are

    @property
    def passed(self) -> Passed:
        """What went through."""
        commands, searches, unfollowed = self._ended
        for pair in tuple(self._pairs):
            commands += pair.follower.commands
            searches += pair.follower.searches
            unfollowed += not pair.follower.followed
        return Passed(self._clients, self._refused, commands, searches, unfollowed)

    def stop(self) -> None:
        """End `run`; from any thread, or a signal."""
        self._stopping = True
        self._wake()

    def run(self) -> None:
        """Pass on until `stop`; then all connections are closed."""
        self.ready.watch(self._listener, READ, lambda _: self._accept())
        self.ready.watch(self._woken, READ, self._attach)
        read_at = 0.0
        with ThreadPoolExecutor(_CONNECTING, "tap") as self._threads:
            try:
                while not self._stopping:
                    came = self.ready.serve(_READ_S if self.unread else _AGAIN_S if self._paused else None)
                    now = time.monotonic()
                    if self._paused and now >= self._paused:
                        self._paused = 0.0
                        self.ready.watch(self._listener, READ, lambda _: self._accept())
                    if not self.unread:
                        read_at = now + _READ_S
                    elif not came or now >= read_at:
                        self.read()
                        read_at = now + _READ_S
            finally:
                self._close()

    def read(self) -> None:
        """Look at what has gone on, in its order."""
        unread, self.unread, self.unread_bytes = self.unread, [], 0
        for pair, asks, data, now in unread:
            (pair.follower.sent if asks else pair.follower.answered)(data, now)

    # ---- connections ----------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as exc:  # no file descriptors left: it would come at once again
            self._tell(f"A client cannot be taken: {exc.strerror}.")
            self.ready.watch(self._listener, 0)
            self._paused = time.monotonic() + _AGAIN_S
            return
        self._clients += 1
        if len(self._pairs) + self._connecting >= MOST_CLIENTS:
            self._refuse(client, f"More than {MOST_CLIENTS:,} clients at once: the next ones are closed.")
            return
        self._connecting += 1
        self._threads.submit(self._connect, client, time.monotonic() + CONNECT_S)

    def _connect(self, client: socket.socket, until: float) -> None:
        """In a thread: a connection to the server for a client."""
        server = None
        try:
            server = self._dial(until)
        except Unreachable as exc:
            self._tell(f"{exc.full()} Clients are closed until it answers.")
        self._connected.append((client, server))
        self._wake()

    def _dial(self, until: float) -> socket.socket:
        target = self.target
        seconds = until - time.monotonic()
        try:
            if seconds <= 0:
                raise TimeoutError("timed out")
            if target.scheme == "unix":
                plain = socket.socket(socket.AF_UNIX)
                plain.settimeout(seconds)
                try:
                    plain.connect(target.path)
                except OSError:
                    plain.close()
                    raise
            else:
                plain = socket.create_connection((target.host, target.port), seconds)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context is None:
                return plain
            try:
                return self._context.wrap_socket(plain, server_hostname=tls.server_name(target))
            except OSError:
                plain.close()
                raise
        except OSError as exc:
            reason = exc.strerror or str(exc) or type(exc).__name__
            explained = tls.explain(str(exc), target) if isinstance(exc, ssl.SSLError) else None
            if explained is not None:
                raise Unreachable(str(explained), explained.hint) from exc
            raise Unreachable(
                f"{target.address} does not answer: {reason}.", "Start the server, or correct --url."
            ) from exc

    def _attach(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass
        while self._connected:
            client, server = self._connected.popleft()
            self._connecting -= 1
            if server is None:
                self._refuse(client)
                continue
            with contextlib.suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            follower = Follower(self._recorder.wanted, self._recorder.offer)
            self._pairs.add(_Pair(self, client, server, follower))

    def _refuse(self, client: socket.socket, why: str = "") -> None:
        self._refused += 1
        client.close()
        if why:
            self._tell(why)

    def forget(self, pair: _Pair) -> None:
        """A connection has ended."""
        if pair in self._pairs:
            self._pairs.remove(pair)
            commands, searches, unfollowed = self._ended
            follower = pair.follower
            self._ended = (
                commands + follower.commands,
                searches + follower.searches,
                unfollowed + (not follower.followed),
            )

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(text, -_SAME_S) >= _SAME_S:
            self._told[text] = now
            self._say(text)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already
            self._wake_up.send(b".")

    def _close(self) -> None:
        self._listener.close()
        for pair in tuple(self._pairs):
            pair.close()
        self._threads.shutdown(wait=True)
        for client, server in self._connected:
            client.close()
            if server is not None:
                server.close()
        self.ready.close()
        self._wake_up.close()
        self._woken.close()


class _Ready:
    """Sockets, and what is called when one can be read or written; `selectors` takes twice as long."""

    def __init__(self) -> None:
        epoll = getattr(select, "epoll", None)
        self._poller = select.poll() if epoll is None else epoll()
        self._unit = 1_000 if epoll is None else 1  # of a time limit, a second
        self._handlers: dict[int, tuple[Callable[[int], None], int]] = {}

    def watch(
        self, sock: socket.socket, mask: int, handler: Callable[[int], None] = lambda mask: None
    ) -> None:
        """Call the handler as soon as one of those in `mask` is possible, with which; 0: no more."""
        number = sock.fileno()
        registered = self._handlers.pop(number, None)
        if mask:
            self._handlers[number] = handler, mask
            (self._poller.register if registered is None else self._poller.modify)(number, mask)
        elif registered is not None:
            self._poller.unregister(number)

    def serve(self, wait: float | None) -> bool:
        """Call the handlers of what is ready; whether there was any within so many seconds."""
        came = self._poller.poll(None if wait is None else wait * self._unit)
        handlers = self._handlers
        for number, mask in came:
            handler = handlers.get(number)  # None: closed by one before it
            if handler is not None:
                # An error, or the end of a connection, shows where it is read or written.
                handler[0](mask if mask == handler[1] else mask & handler[1] or handler[1])
        return bool(came)

    def close(self) -> None:
        """Free what the system holds for it."""
        if hasattr(self._poller, "close"):
            self._poller.close()


class _End:
    """One socket of a connection, and what waits to go out on it."""

    __slots__ = ("ended", "mask", "out", "shut", "sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.out = bytearray()
        self.mask = 0
        self.ended = False  # nothing more comes from it
        self.shut = False  # nothing more goes to it


class _Pair:
    """A client and its connection to the server."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket, follower: Follower
    ) -> None:
        self.follower = follower
        self._proxy, self._ready = proxy, proxy.ready
        self._client, self._server = _End(client), _End(server)
        self._secure = isinstance(server, ssl.SSLSocket)
        self._closed = False
        self._want(self._client, READ)
        self._want(self._server, READ)

    def close(self) -> None:
        """Close both ends."""
        if self._closed:
            return
        self._closed = True
        self._proxy.read()
        for end in (self._client, self._server):
            self._ready.watch(end.sock, 0)
            end.sock.close()
        self._proxy.forget(self)

    def _from_client(self, mask: int) -> None:
        if mask & WRITE and not self._closed:
            self._drain(self._client, self._server)
            if self._secure:  # what TLS has decrypted already makes no socket readable
                self._pump(self._server, self._client)
        if mask & READ:
            self._pump(self._client, self._server)

    def _from_server(self, mask: int) -> None:
        if mask & WRITE and not self._closed:
            self._drain(self._server, self._client)
        if mask & READ:
            self._pump(self._server, self._client)

    def _pump(self, source: _End, sink: _End) -> None:
        """Pass on what came, until there is no more or the sink is slow."""
        turns = 0
        while len(sink.out) <= _HIGH and not self._closed and not source.ended:
            try:
                data = source.sock.recv(_AT_ONCE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                data = b""
            now = time.perf_counter()
            if not data:
                self._ended(source, sink)
                break
            self._send(sink, data)
            asks = source is self._client
            if self.follower.followed if asks else self.follower.timed:
                self._read_later(data, now, asks=asks)
            turns += 1
            if len(data) < _AT_ONCE and not (self._secure and not asks):
                break
            if turns == _TURNS and not (self._secure and not asks):
                break
        if sink.out or source.ended or source.mask != READ or sink.mask != READ:
            self._balance()

    def _read_later(self, data: bytes, now: float, *, asks: bool) -> None:
        proxy = self._proxy
        proxy.unread.append((self, asks, data, now))
        proxy.unread_bytes += len(data)
        if proxy.unread_bytes > _UNREAD:
            proxy.read()

    def _send(self, sink: _End, data: bytes) -> None:
        if sink.shut or self._closed:
            return
        sent = 0
        if not sink.out:
            try:
                sent = sink.sock.send(data)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError:
                self._broken(sink)
                return
        if sent < len(data):
            sink.out += data[sent:]

    def _drain(self, sink: _End, source: _End) -> None:
        """Send what waits."""
        while sink.out and not sink.shut:
            try:
                with memoryview(sink.out) as waiting:
                    sent = sink.sock.send(waiting[:_AT_ONCE])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                self._broken(sink)
                return
            del sink.out[:sent]
        if not sink.out and source.ended:
            self._finish(sink)
        if not self._closed:
            self._balance()

    def _ended(self, source: _End, sink: _End) -> None:
        source.ended = True
        if not sink.out:
            self._finish(sink)

    def _finish(self, sink: _End) -> None:
        """All that its peer sent is delivered: end it as the peer did."""
        if sink is self._client:
            self.close()
            return
        if not sink.shut:
            sink.shut = True
            with contextlib.suppress(OSError):
                sink.sock.shutdown(socket.SHUT_WR)

    def _broken(self, sink: _End) -> None:
        """Nothing can be sent to it: of a server what it said last is still passed on."""
        if sink is self._client:
            self.close()
            return
        sink.shut = True
        sink.out.clear()

    def _balance(self) -> None:
        """Wait for what each end may do next."""
        if self._closed:
            return
        for end, other in ((self._client, self._server), (self._server, self._client)):
            mask = 0 if end.ended or len(other.out) > _HIGH else READ
            if end.out and not end.shut:
                mask |= WRITE
            if mask != end.mask:
                self._want(end, mask)

    def _want(self, end: _End, mask: int) -> None:
        self._ready.watch(end.sock, mask, self._from_client if end is self._client else self._from_server)
        end.mask = mask


def _is_loopback(host: str) -> bool:
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError, OverflowError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise BadInput(
            f"Nothing can listen on {host}:{port}: {reason}.", "Choose another --listen address."
        ) from exc
