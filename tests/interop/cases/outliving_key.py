"""Jobs of sessions are gone at once when the key is deleted, however they hide."""

import time

from house.program import wait_until
from house.stubborn import Jobs
from house.verdict import expect

INTERVAL = 5


def run(stage):
    agent = stage.agent(variables={"HOOP_LITE_KEY_CHECK_INTERVAL": f"{INTERVAL}s"})
    shell, jobs = agent.shell(), Jobs(stage, 7301)
    jobs.start(lambda script: stage.keep(stage.user.start("exec", shell, "-i", f"{script} wait")))
    agent.delete_key()
    expect(wait_until(lambda: noticed(agent), 3 * INTERVAL), "the agent does not notice")
    time.sleep(0.2)
    jobs.judge(1)


def noticed(agent):
    return not agent.program.is_running() or "invalid authentication" in agent.program.said()
