#!/usr/bin/python3
"""Runs files of SQLite's own test suite on stock SQLite, with `recovery replicate` beside the databases that they make, delete,
replace and damage. At the end, what is restored from the remote must be what is there, page by page.

That a test fails is no failure here: a replicator takes the locks of a reader, and tests about locks notice that.
usage: beside.py --recovery=PROGRAM [--files=PATTERN] [--jobs=N]        build-programs.sh comes before
"""
import argparse
import fnmatch
import glob
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from limited import read_text, run_limited
from run import BIN, BUILD, SOURCE, read_verdict, scratch

# What changes how pages, files and journals come to be.
FILES = ('wal.test', 'walmode.test', 'walcksum.test', 'vacuum.test', 'incrvacuum.test', 'autovacuum.test', 'savepoint.test',
         'journal2.test', 'pagesize.test', 'rollback.test', 'incrblob.test', 'backup.test', 'trans.test', 'jrnlmode.test',
         'fkey1.test', 'insert.test')

CONFIG = """remote: file://{0}/remote
store: {0}/mirror
sync-interval: 50
look-interval: 20ms
dbs:
  - dir: {0}/tests
    pattern: "*.db"
    watch: true
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--recovery', required=True, help='the program')
    parser.add_argument('--files', default='', help='all files whose name matches this shell pattern, not the usual ones')
    parser.add_argument('-j', '--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--timeout', type=int, default=120, help='seconds a file may take')
    return parser.parse_args()


def pages(path):
    """The newest committed state as SQLite itself gives it, without what a copy sets as it needs it; None if it gives none."""
    try:
        with sqlite3.connect(f'file:{path}?mode=rw', uri=True) as source, sqlite3.connect(':memory:') as copy:
            source.execute('PRAGMA schema_version')
            source.backup(copy)
            content = bytearray(copy.serialize())
    except sqlite3.Error:
        return None
    for first, count in ((18, 2), (24, 4), (40, 4), (92, 8)):
        content[first:first + count] = bytes(count)
    return bytes(content)


class Beside:
    """One test file with a replicator beside it."""

    def __init__(self, options, name):
        self.options, self.name = options, name
        self.directory = tempfile.mkdtemp(prefix='beside.', dir=scratch(BUILD))
        os.mkdir(self.at('tests'))
        with sqlite3.connect(self.at('tests/first.db')) as first:
            first.execute('CREATE TABLE t(a)')
        with open(self.at('recovery.yml'), 'w') as config:
            config.write(CONFIG.format(self.directory))

    def at(self, name):
        return os.path.join(self.directory, name)

    def recovery(self, *more):
        return subprocess.run([self.options.recovery, *more], capture_output=True, text=True, check=False)

    def run(self):
        """Returns what is wrong, and how many databases were compared."""
        try:
            with open(self.at('log'), 'w') as log:
                replicator = subprocess.Popen([self.options.recovery, 'replicate', '--config', self.at('recovery.yml')], stderr=log)
                self.wait_until_at_it(replicator)
                run_limited([os.path.join(BIN, 'testfixture'), os.path.join(SOURCE, 'test', self.name),
                             '--testdir=' + self.at('tests')], BIN, dict(os.environ), self.at('output'), self.options.timeout)
                if replicator.poll() is not None:
                    return [f'the replicator ended with {replicator.returncode}: {read_text(self.at("log"))[-2000:]}'], 0, 0
                replicator.send_signal(signal.SIGTERM)
                code = replicator.wait(300)
                # One that is told to end while it begins has nothing to ship.
                code = 0 if 'What was begun was removed' in read_text(self.at('log')) else code
            problems = [f'the replicator ended with {code} when it was told to: {read_text(self.at("log"))[-2000:]}'] if code else []
            compared, differing = self.compare()
            return problems + differing, compared, read_verdict(read_text(self.at('output')))[0] or 0
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def wait_until_at_it(self, replicator):
        """A database that is there before the tests' own tells when it looks."""
        while 'in step' not in read_text(self.at('log')) and replicator.poll() is None:
            time.sleep(0.02)

    def compare(self):
        present = {path: pages(path) for path in glob.glob(self.at('tests/*.db')) if os.path.getsize(path) > 0}
        readable = {path: content for path, content in present.items() if content}
        once = self.recovery('replicate', '--config', self.at('recovery.yml'), '--once')
        # What no SQLite reads is said to be so; all others are replicated.
        problems = [f'--once: {once.stderr[-2000:]}'] if once.returncode and len(readable) == len(present) else []
        for path, content in readable.items():
            restored = self.at('restored-' + os.path.basename(path))
            done = self.recovery('restore', f'file://{self.directory}/remote', '--database', os.path.basename(path), '-o', restored)
            if done.returncode or pages(restored) != content:
                problems.append(f'{os.path.basename(path)}: {done.stderr[-2000:] or "what is restored differs"}')
        return len(readable), problems


def main():
    options = arguments()
    names = FILES if not options.files else sorted(
        name for name in map(os.path.basename, glob.glob(os.path.join(SOURCE, 'test', '*.test')))
        if fnmatch.fnmatch(name, options.files))
    failed = databases = tests = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, (problems, compared, ran) in zip(names, pool.map(lambda name: Beside(options, name).run(), names)):
            failed, databases, tests = failed + bool(problems), databases + compared, tests + ran
            for problem in problems:
                print(f'FAILED {name} beside a replicator: {problem}', flush=True)
    print(f'{len(names)} files, {tests:,} tests, {databases} databases restored and compared, {failed} files failed', flush=True)
    with open(os.path.join(BUILD, 'beside.json'), 'w') as totals:
        json.dump(dict(passed=len(names) - failed, failed=failed), totals)
    return 1 if failed or not databases else 0


if __name__ == '__main__':
    sys.exit(main())
