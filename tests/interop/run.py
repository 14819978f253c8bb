"""Runs the cases in front of the real gateway; scripts/interop gives it a namespace of its own.

A case is a file of `cases`: its first line says what must be so, and its `run(stage)` returns, with a
remark if it has one, or raises what house.verdict has. One that takes long has `SECONDS_MAX`.
"""

import argparse
import importlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from house.stage import House, Stage
from house.verdict import NotJudged, NotServed, Wrong

HERE = Path(__file__).parent
SECONDS_MAX = 180
RIGHT, WRONG, NOT_SERVED, NOT_JUDGED = "right", "WRONG", "not served", "NOT JUDGED"


def main():
    options = argparse.ArgumentParser(prog="scripts/interop")
    options.add_argument("--hoop", required=True)
    options.add_argument("--agent", required=True)
    options.add_argument("--plaintext", action="store_true")
    options.add_argument("cases", nargs="*")
    chosen = options.parse_args()
    known = sorted(file.stem for file in (HERE / "cases").glob("[a-z]*.py"))
    if unknown := set(chosen.cases) - set(known):
        sys.exit(f"interop: no such case: {', '.join(unknown)}; there are {', '.join(known)}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    signal.signal(signal.SIGALRM, too_late)

    folder = Path(tempfile.mkdtemp(prefix="interop-"))
    folder.chmod(0o755)
    try:
        house = House(chosen.hoop, chosen.agent, folder, chosen.plaintext)
        rows = [run(house, name) for name in chosen.cases or known]
        house.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(rows)
    sys.exit(any(verdict in (WRONG, NOT_JUDGED) for _, verdict, _, _ in rows))


def too_late(*_):
    raise Wrong("not over in time")


def run(house, name):
    case = importlib.import_module(f"cases.{name}")
    started = time.monotonic()
    verdict, remark = judge(house, name, case)
    row = (name, verdict, time.monotonic() - started, remark)
    print(line(row), flush=True)
    if verdict in (WRONG, NOT_JUDGED):
        print(f"    must be: {case.__doc__.splitlines()[0]}", flush=True)
    return row


def judge(house, name, case):
    signal.alarm(getattr(case, "SECONDS_MAX", SECONDS_MAX))
    try:
        with Stage(house, name) as stage:
            return RIGHT, case.run(stage) or ""
    except Wrong as wrong:
        return WRONG, str(wrong)
    except NotServed as refusal:
        return NOT_SERVED, str(refusal)
    except NotJudged as reason:
        return NOT_JUDGED, str(reason)
    except Exception as error:  # noqa: BLE001: a case's own fault must not hide the other cases
        where = traceback.extract_tb(error.__traceback__)[-1]
        return NOT_JUDGED, f"{Path(where.filename).name}:{where.lineno}: {error!r}"
    finally:
        signal.alarm(0)


def line(row):
    name, verdict, seconds, remark = row
    remark = " ".join(remark.split())
    return f"{verdict:<10}  {name:<28} {seconds:5.1f} s  {remark[:300]}".rstrip()


def report(rows):
    print()
    for row in rows:
        print(line(row))
    counts = {verdict: sum(row[1] == verdict for row in rows) for verdict in
              (RIGHT, WRONG, NOT_SERVED, NOT_JUDGED)}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


if __name__ == "__main__":
    main()
