"""Runs commands one group after another and says what they took; on its own, as ``python -I -S child.py``.

Why a program of its own: a child is born with its parent's memory, and the kernel's peak counts that. This
parent is small. Reads a job (JSON) from stdin, writes what it measured (JSON) to stdout.
"""

import json
import os
import sys
import time


def spawn(command, cwd, env, log):
    """Start a command whose output goes to ``log``."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.chdir(cwd)
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execvpe(command[0], command, env)
    finally:
        os._exit(127)


def main():
    """Run the job."""
    job = json.load(sys.stdin)
    cpu, peak, codes = 0.0, 0, []
    began = time.monotonic()
    for group in job["groups"]:
        together = 0
        for pid in [spawn(command, job["cwd"], job["env"], job["log"]) for command in group]:
            _, status, usage = os.wait4(pid, 0)  # of the process and of all below it that were waited for
            codes.append(os.waitstatus_to_exitcode(status))
            cpu += usage.ru_utime + usage.ru_stime
            together += usage.ru_maxrss  # the largest process of the tree, in KiB
        peak = max(peak, together)
        if any(codes):
            break
    json.dump({"wall": time.monotonic() - began, "cpu": cpu, "peak": peak * 1024, "codes": codes}, sys.stdout)


main()
