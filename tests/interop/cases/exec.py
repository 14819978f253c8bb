"""`hoop exec`: input, output, error output, variables, arguments and the exit code arrive as they are."""

import hashlib

from house.verdict import expect

INPUT = b"".join(b"line %d of many\n" % number for number in range(100_000))


def run(stage):
    shell = stage.agent().shell(COLOUR="blue")
    code, output, error = stage.user.exec(shell, "-i", "echo $COLOUR; echo aside >&2; exit 7")
    expect((code, output) == (7, b"blue\n"), f"exit code {code}, output {output!r}")
    expect(b"aside" in error, f"error output {error!r}")

    code, output, _ = stage.user.exec(shell, "-i", "kill -TERM $$")
    expect(code == 143, f"a command that a signal ended: exit code {code}")

    code, output, _ = stage.user.exec(shell, "-e", "FLAVOUR=mint", "-i", "echo $FLAVOUR $0", "--", "--posix")
    expect((code, output) == (0, b"mint bash\n"), f"with -e and an argument: {code}, {output!r}")

    sums = stage.agent().connection("sums", "custom", command=["sha256sum"])
    code, output, _ = stage.user.exec(sums, stdin=INPUT)
    wanted = hashlib.sha256(INPUT).hexdigest().encode()
    expect(code == 0 and output.startswith(wanted), f"{len(INPUT)} bytes in: {code}, {output!r}")

    script = "i=0; while [ $i -lt 200000 ]; do echo $i; i=$((i+1)); done"
    code, output, _ = stage.user.exec(shell, "-i", script)
    expect(output.split() == [b"%d" % n for n in range(200_000)], f"{len(output)} bytes out")
