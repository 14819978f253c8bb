"""A requested port of 6 MiB costs its own session at most: the neighbour on the same agent feels nothing."""

from house.neighbour import neighbour
from house.services import ECHO
from house.stream import Stream

SECONDS = 25


def run(stage):
    agent = stage.agent()
    other = neighbour(stage, agent)
    stream = stage.keep(Stream(stage.house, f"{agent.name}-tcp-{ECHO}", "connect"))
    stream.send("AgentSessionOpen", {"client.request_port": b"9" * (6 << 20)})
    return other.judge(SECONDS)
