"""A message beyond every bound (arguments of 9.3 MB, which the gateway sends twice) costs its own session only."""

from house.neighbour import neighbour
from house.stream import Stream, gob_strings
from house.verdict import expect

ARGUMENTS = [b"x" * 100_000] * 93


def run(stage):
    agent = stage.agent()
    shell, other = agent.shell(), neighbour(stage, agent)
    stream = stage.keep(Stream(stage.house, shell, "exec"))
    spec = {"terminal.args": gob_strings(ARGUMENTS)}
    expect(stream.send("AgentSessionOpen", spec, b"true"), "the gateway does not take it")
    told = stream.receive(20)
    remark = other.judge(5)
    expect(told is not None and told[0] == "ClientSessionClose", f"its user is told {told}")
    return f"{remark}; its user is told {told[2][:120]!r}"
