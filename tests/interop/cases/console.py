"""`hoop connect` of a command: a real terminal with its size, keys that interrupt, jobs, and the exit code."""

from house.verdict import expect


def run(stage):
    console = stage.keep(stage.user.console(stage.agent().shell(), rows=30, columns=100))
    console.expect(r"[$#] ")
    console.type("tty; stty size\n")
    console.expect(r"/dev/pts/\d+\r\n30 100")
    console.resize(41, 123)
    console.type("sleep 0.5; stty size\n")
    console.expect("41 123")
    console.type("sleep 1000\n")
    console.expect("sleep 1000")
    console.type("\x03")
    console.type("echo interrupted-$?\n")
    console.expect("interrupted-130")
    console.type("sleep 1000 &\n")
    console.type("jobs; kill %1; echo over-$((1+1))\n")
    console.expect("Running")
    console.expect("over-2")
    console.type("exit 5\n")
    code = console.exit_code()
    expect(code == 5, f"exit code {code}")
