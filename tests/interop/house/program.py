"""Programs that a case starts, and waiting for what they do."""

import os
import signal
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def wait_until(is_so, seconds, pause=0.05):
    """The first true value of `is_so()`, or its last one when the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := is_so()) and time.monotonic() < deadline:
        time.sleep(pause)
    return value


class Program:
    """A program in the background; both of its outputs go to one file."""

    def __init__(self, words, log, variables, folder="/", stdin=subprocess.DEVNULL):
        self.log = Path(log)
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                words, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, env=variables,
                cwd=folder, start_new_session=True,
            )

    @property
    def pid(self):
        return self._child.pid

    def exit_code(self):
        """None while it runs."""
        return self._child.poll()

    def is_running(self):
        return self.exit_code() is None

    def wait(self, seconds):
        """Its exit code, or None when it still runs after this time."""
        wait_until(lambda: not self.is_running(), seconds)
        return self.exit_code()

    def said(self):
        return self.log.read_text(errors="replace")

    def send(self, number):
        if self.is_running():
            self._child.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=12):
        self.send(number)
        if wait_until(lambda: not self.is_running(), seconds):
            return
        self._child.kill()
        self._child.wait()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def is_running(words):
    """Whether a process of this namespace has exactly this command line; a zombie has none."""
    wanted = words.encode().replace(b" ", b"\0") + b"\0"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False
