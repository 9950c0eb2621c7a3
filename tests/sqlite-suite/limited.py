"""One program run in a process group of its own, with a limit on its time, and the proof that it used the VFS."""
import os
import signal
import subprocess


def run_limited(command, directory, environment, output, seconds):
    """Runs a command with its output appended to a file; its group is killed when the time is up. Returns its exit code, or 'timeout'."""
    with open(output, 'ab') as stream:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return 'timeout'


def read_opens(report, vfs):
    """How many files were opened through the VFS, by a program and its children (default_vfs.c appends a line at each exit)."""
    if not os.path.exists(report):
        return 0
    with open(report) as lines:
        counts = [line.split() for line in lines]
    os.unlink(report)
    return sum(int(count) for _, name, count in counts if name == vfs)


def read_text(path):
    with open(path, 'rb') as stream:
        return stream.read().decode('utf8', 'replace')
