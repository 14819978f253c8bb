"""Nothing of any session is left a second after the agent itself is killed."""

import signal

from house.stubborn import Jobs


def run(stage):
    agent = stage.agent()
    shell, jobs = agent.shell(), Jobs(stage, 7401)
    jobs.start(lambda script: stage.keep(stage.user.start("exec", shell, "-i", f"{script} wait")))
    agent.program.send(signal.SIGKILL)
    jobs.judge(1)
