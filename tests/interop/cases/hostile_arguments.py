"""60 arguments of 100 kB by REST cost their own session at most: the neighbour on the same agent feels nothing."""

import threading

from house.neighbour import neighbour

ARGUMENTS = ["x" * 100_000] * 60
SECONDS = 25


def run(stage):
    agent = stage.agent()
    shell, other = agent.shell(), neighbour(stage, agent)
    order = {"connection": shell, "script": "true", "client_args": ARGUMENTS}
    ask = lambda: stage.gateway.request("POST", "/sessions", order)  # noqa: E731
    threading.Thread(target=ask, daemon=True).start()
    return other.judge(SECONDS)
