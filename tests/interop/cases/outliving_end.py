"""A command that ends takes its jobs with it within 9 s, but for those that detached themselves on purpose."""

from house.stubborn import IGNORING, NOHUP, SETSID, Jobs
from house.verdict import expect


def run(stage):
    shell, jobs = stage.agent().shell(), Jobs(stage, 7601)
    clients = jobs.start(
        lambda script: stage.keep(stage.user.start("exec", shell, "-i", f"{script} sleep 3"))
    )
    for client in clients:
        code = client.wait(10)
        expect(code == 0, f"a client ended with {code}: {client.said()[-200:]}")
    jobs.judge(7, spared=(IGNORING, SETSID, NOHUP))
