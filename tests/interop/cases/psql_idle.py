"""Idle connections to a database take little of the agent's memory: 5 KiB each over TLS, less without."""

import re
import socket
import struct
import time
from pathlib import Path

from house import database
from house.verdict import expect

PORT = 9180
COUNT = 200
KIB_MAX = 8.0


def run(stage):
    stage.house.postgres.role("idle", database.SECRET)
    agent = stage.agent()
    remarks = []
    for number, mode in enumerate(["disable", "require"]):
        port = PORT + number
        with database.forward(stage, database.connection(agent, "idle", mode), port):
            before = resident(agent, 2)
            users = [login(port) for _ in range(COUNT)]
            each = (resident(agent, 4) - before) / COUNT
            for user in users:
                user.close()
        expect(each <= KIB_MAX, f"{each:.1f} KiB each with SSLMODE={mode}")
        remarks.append(f"{mode} {each:.1f} KiB")
        time.sleep(2)
    return f"{COUNT} each: " + ", ".join(remarks)


def login(port):
    user = socket.create_connection(("127.0.0.1", port), timeout=60)
    names = b"user\0noop\0database\0postgres\0\0"
    user.sendall(struct.pack(">II", 8 + len(names), 3 << 16) + names)
    said = b""
    while not said.endswith(b"Z\0\0\0\x05I"):
        data = user.recv(1 << 16)
        expect(data, f"the login ended: {said[-200:]!r}")
        said += data
    return user


def resident(agent, seconds):
    """Anonymous memory in KiB, when it has had time to be given back."""
    time.sleep(seconds)
    status = Path(f"/proc/{agent.program.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1])
