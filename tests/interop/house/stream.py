"""A client that says what the real one never would: gRPC over HTTP/2, by hand.

The gateway is unmodified, and any user can write such a client. It sends each header as a literal, and
looks at answers only for packets and for the end.
"""

import queue
import socket
import ssl
import struct
import threading

from .gateway import GRPC

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
WINDOW_MAX = (1 << 31) - 1
FRAME_MAX = 16384


class Stream:
    """One `Transport/Connect` call of a user."""

    def __init__(self, house, connection, verb, session=None):
        self._socket = socket.create_connection(("localhost", GRPC), timeout=60)
        if not house.gateway.is_plaintext:
            trust = ssl.create_default_context(cafile=house.folder / "ca.crt")
            trust.set_alpn_protocols(["h2"])
            self._socket = trust.wrap_socket(self._socket, server_hostname="localhost")
        self._room = {0: 65535, 1: 65535}
        self._initial = 65535
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self.is_over = False
        self._packets = queue.Queue()
        headers = {
            ":method": "POST",
            ":scheme": "http" if house.gateway.is_plaintext else "https",
            ":path": "/protobuf.Transport/Connect",
            ":authority": f"localhost:{GRPC}",
            "content-type": "application/grpc",
            "te": "trailers",
            "authorization": f"Bearer {house.gateway.token}",
            "origin": "client",
            "verb": verb,
            "connection-name": connection,
        }
        if session:
            headers["session-id"] = session
        with self._writing:
            self._socket.sendall(PREFACE)
            self._frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW_MAX))
            self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_MAX - 65535))
            block = b"".join(literal(name, value) for name, value in headers.items())
            self._frame(HEADERS, END_HEADERS, 1, block)
        threading.Thread(target=self._read, daemon=True).start()

    def close(self):
        self._socket.close()

    def send(self, kind, spec=None, payload=b""):
        """One packet, as far as the gateway takes it; False when it ended the call."""
        message = packet(kind, spec or {}, payload)
        data = memoryview(b"\0" + struct.pack(">I", len(message)) + message)
        while data:
            with self._changed:
                has_room = lambda: self.is_over or min(self._room.values()) > 0  # noqa: E731
                if not self._changed.wait_for(has_room, 60) or self.is_over:
                    return False
                size = min(len(data), FRAME_MAX, *self._room.values())
                self._room = {stream: room - size for stream, room in self._room.items()}
            try:
                with self._writing:
                    self._frame(DATA, 0, 1, data[:size])
            except OSError:
                return False
            data = data[size:]
        return True

    def receive(self, seconds):
        """The next packet as (type, spec, payload); None at the end, or when none came."""
        try:
            return self._packets.get(timeout=seconds)
        except queue.Empty:
            return None

    def _frame(self, kind, flags, stream, payload):
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self._socket.sendall(head + payload)

    def _read(self):
        message = b""
        try:
            with self._socket.makefile("rb") as source:
                while head := source.read(9):
                    size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                    payload = source.read(size)
                    if kind == DATA:
                        message = self._take_messages(message + payload)
                    self._take_control(kind, flags, int.from_bytes(head[5:], "big"), payload)
                    if kind in (RST_STREAM, GOAWAY) or kind == HEADERS and flags & END_STREAM:
                        break
        except (OSError, ValueError):
            pass
        with self._changed:
            self.is_over = True
            self._changed.notify_all()
        self._packets.put(None)

    def _take_messages(self, data):
        while len(data) >= 5:
            end = 5 + int.from_bytes(data[1:5], "big")
            if len(data) < end:
                break
            self._packets.put(unpack(data[5:end]))
            data = data[end:]
        return data

    def _take_control(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == INITIAL_WINDOW_SIZE:
                    self._give(1, value - self._initial)
                    self._initial = value
            with self._writing:
                self._frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            with self._writing:
                self._frame(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE:
            self._give(stream, int.from_bytes(payload, "big"))

    def _give(self, stream, credit):
        with self._changed:
            self._room[stream] = self._room.get(stream, 0) + credit
            self._changed.notify_all()


def literal(name, value):
    """A header field without indexing (RFC 7541, 6.2.2)."""
    return b"\0" + prefixed(name.encode()) + prefixed(value.encode())


def prefixed(text):
    if len(text) < 127:
        return bytes([len(text)]) + text
    return b"\x7f" + varint(len(text) - 127) + text


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def packet(kind, spec, payload):
    entries = b"".join(
        field(3, field(1, name.encode()) + field(2, value)) for name, value in spec.items()
    )
    return field(2, kind.encode()) + entries + (field(4, payload) if payload else b"")


def fields(data):
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        size = number()
        yield tag >> 3, data[at:at + size]
        at += size


def unpack(data):
    kind, spec, payload = "", {}, b""
    for number, value in fields(data):
        if number == 2:
            kind = value.decode()
        elif number == 3:
            entry = dict(fields(value))
            spec[entry.get(1, b"").decode()] = entry.get(2, b"")
        elif number == 4:
            payload = value
    return kind, spec, payload


def gob_strings(strings):
    """A Go `[]string`, as the client sends its arguments."""
    value = b"\xff\x82\0" + gob_number(len(strings))
    value += b"".join(gob_number(len(text)) + text for text in strings)
    return bytes.fromhex("0cff81020102ff8200010c0000") + gob_number(len(value)) + value


def gob_number(number):
    if number < 128:
        return bytes([number])
    size = (number.bit_length() + 7) // 8
    return bytes([256 - size]) + number.to_bytes(size, "big")
