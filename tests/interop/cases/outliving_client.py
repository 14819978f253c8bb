"""Jobs of a command whose client is killed are gone within 7 s, however they hide."""

import signal

from house.stubborn import Jobs


def run(stage):
    shell, jobs = stage.agent().shell(), Jobs(stage, 7201)
    clients = jobs.start(
        lambda script: stage.keep(stage.user.start("exec", shell, "-i", f"{script} wait"))
    )
    for client in clients:
        client.send(signal.SIGKILL)
    jobs.judge(7)
