"""Jobs that a command leaves behind, and that the end of their session must find all the same."""

import time

from .program import is_running, wait_until
from .verdict import expect

IGNORING, SETSID, MONITORED, NOHUP, CHAIN = (
    "TERM and HUP ignored", "setsid", "set -m", "nohup", "chain of forks"
)
CHAIN_SCRIPT = """\
#!/bin/sh
# Each lives for a moment, deaf to TERM, and starts the next: who looks for it finds it gone.
trap '' TERM
echo >> "$0.beats"
sleep 0.01
"$0" &
"""
# A chain on a loaded machine beats several times in it.
BEAT_SECONDS = 0.3


class Jobs:
    """`number` tells them from those of other cases: they are found by their command lines."""

    def __init__(self, stage, number):
        chain = stage.folder / "chain.sh"
        chain.write_text(CHAIN_SCRIPT)
        chain.chmod(0o755)
        self.beats = stage.folder / "chain.sh.beats"
        self.beats.touch()
        kinds = (IGNORING, SETSID, MONITORED, NOHUP)
        lines = {kind: f"sleep {number}.{place}" for place, kind in enumerate(kinds, 1)}
        self.lines = lines
        # What a shell is told to start each in the background.
        self.scripts = {
            IGNORING: f"(trap '' TERM HUP; exec {lines[IGNORING]}) &",
            SETSID: f"setsid {lines[SETSID]} &",
            MONITORED: f"set -m; {lines[MONITORED]} &",
            NOHUP: f"nohup {lines[NOHUP]} &",
            CHAIN: f"{chain} &",
        }

    def start(self, begin):
        """`begin(script)` for each; returns when all of them run, with what it gave."""
        begun = [begin(script) for script in self.scripts.values()]
        expect(
            wait_until(lambda: len(self.living()) == len(self.scripts), 30),
            f"of the jobs only {self.living()} run",
        )
        return begun

    def living(self):
        before = self.beats.stat().st_size
        time.sleep(BEAT_SECONDS)
        living = {kind for kind, line in self.lines.items() if is_running(line)}
        return living | ({CHAIN} if self.beats.stat().st_size > before else set())

    def judge(self, seconds, spared=()):
        """Wrong when any but the spared ones is alive after this time, or when these are not."""
        wait_until(lambda: self.living() <= set(spared), seconds)
        living = self.living()
        outliving, missing = living - set(spared), set(spared) - living
        expect(not outliving, f"alive after {seconds} s: {', '.join(sorted(outliving))}")
        expect(not missing, f"ended, though they had detached themselves: {', '.join(sorted(missing))}")
