"""Jobs of a console whose client is killed are gone within 7 s, however they hide."""

from house.stubborn import Jobs


def run(stage):
    shell, jobs = stage.agent().shell(), Jobs(stage, 7501)

    def begin(script):
        console = stage.keep(stage.user.console(shell))
        console.expect(r"[$#] ")
        console.type(f"{script}\n")
        return console

    for console in jobs.start(begin):
        console.close()
    jobs.judge(7)
