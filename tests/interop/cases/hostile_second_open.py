"""A second open with a live session's id: no keystroke of either user reaches a shell any more."""

import uuid

from house.program import wait_until
from house.stream import Stream
from house.verdict import NotJudged, expect


def run(stage):
    shell = stage.agent().shell()
    session = str(uuid.uuid4())
    first = stage.keep(Stream(stage.house, shell, "connect", session))
    first.send("AgentSessionOpen")
    opened = first.receive(20)
    expect(opened is not None and opened[0] == "ClientSessionOpenOK", f"the first open: {opened}")
    type_mark(first, stage.folder / "first")
    expect(wait_until((stage.folder / "first").exists, 10), "the first user's shell does not answer")

    second = stage.keep(Stream(stage.house, shell, "connect", session))
    second.send("AgentSessionOpen")
    told = second.receive(5)
    first_late, second_late = stage.folder / "first-late", stage.folder / "second-late"
    type_mark(first, first_late)
    type_mark(second, second_late)
    wait_until(lambda: first_late.exists() and second_late.exists(), 4)
    if told is None and first_late.exists() and not second_late.exists():
        raise NotJudged("the gateway takes no second open")
    expect(not first_late.exists(), "the first user's keys reach a shell")
    expect(not second_late.exists(), "the second user's keys reach a shell")


def type_mark(stream, file):
    stream.send("AgentTerminalWriteStdin", payload=b"\n")
    stream.send("AgentTerminalWriteStdin", payload=f"touch {file}\n".encode())
