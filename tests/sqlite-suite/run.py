#!/usr/bin/python3
"""Runs SQLite's own test suite with a VFS from a loadable extension as the default VFS of every program.

One process and one empty directory a test file, then SQLite's other test programs (programs.py); build-programs.sh made them
all. A file passes when every test in it
passed (or is listed in expected/), it ran at least as many tests as stock SQLite does in the same setting (expected/fewer.tsv
says where not, and why), and it opened files through the VFS. See README.md for the settings and the lists.
"""
import argparse
import fnmatch
import json
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from limited import read_opens, read_text, run_limited
from programs import program_rows, run_program

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, 'build', 'sqlite')
SOURCE = os.path.join(BUILD, 'src')
BIN = os.path.join(BUILD, 'bin')

# What each setting adds to the environment, and the column of files.tsv with stock SQLite's count of tests in it.
SETTINGS = {
    '1': ({'RECOVERY_ISOLATION': 'locking', 'RECOVERY_JOURNAL': 'plain'}, 'tests'),
    '2': ({}, 'tests'),
    '3': ({'SUITE_PRESQL': 'PRAGMA journal_mode=wal;'}, 'tests_wal'),
}


def read_table(path):
    """Rows of a tab-separated file with a header line, as dictionaries."""
    with open(path) as lines:
        rows = [line.rstrip('\n').split('\t') for line in lines if line.strip() and not line.startswith('#')]
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def read_expected(setting):
    """
    {file: {test name: reason}} of the failures that a setting allows: what is allowed in a setting is allowed in those after it.
    The test '*' stands for the whole file, 'NAME*' for all tests whose names begin so.
    """
    expected = {}
    for each in SETTINGS:
        for row in read_table(os.path.join(HERE, 'expected', f'{each}.tsv')):
            expected.setdefault(row['file'], {})[row['test']] = row['reason']
        if each == setting:
            return expected


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--extension', help='the loadable extension (.so); without it: stock SQLite, for comparison')
    parser.add_argument('--vfs', default='recovery', help='name of the VFS in it')
    parser.add_argument('--setting', default='all', choices=['1', '2', '3', 'all'])
    parser.add_argument('--fast', action='store_true', help='only the files marked fast')
    parser.add_argument('--files', default='*', help='only files whose path matches this shell pattern')
    parser.add_argument('--list', help='run the files named in this file instead of files.tsv (first column)')
    parser.add_argument('--record', action='store_true',
                        help="with stock SQLite: write what it does into files.tsv, and in setting 3 into expected/3.tsv")
    parser.add_argument('-j', '--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--timeout', type=int, default=600, help='seconds a file may take')
    parser.add_argument('--environment', action='append', default=[], metavar='NAME=VALUE')
    parser.add_argument('--out', default=os.path.join(BUILD, 'results'), help='where results and failing output go')
    return parser.parse_args()


def scratch(otherwise):
    """Where the tests' directories go: into memory, when there is room (or where SUITE_TMP says). This suite says nothing about disks."""
    memory = '/dev/shm'
    if 'SUITE_TMP' in os.environ:
        return os.environ['SUITE_TMP']
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30:
        return memory
    return otherwise


class Suite:
    """One setting's run over a list of files."""

    def __init__(self, options, setting):
        self.options, self.setting = options, setting
        own, self.count_column = SETTINGS[setting]
        self.expected = read_expected(setting)
        self.fewer = {row['file']: int(row[self.count_column]) for row in read_table(os.path.join(HERE, 'expected', 'fewer.tsv'))}
        self.out = os.path.join(options.out, setting)
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)
        self.scratch = scratch(self.out)
        self.environment = dict(os.environ, FILE_BRIDGE_TCL=os.path.join(HERE, 'file_bridge.tcl'), VFS_SINGLE_PROCESS='1', **own)
        self.environment.update(pair.split('=', 1) for pair in options.environment)
        if options.extension:
            self.environment.update(SQLITE_DEFAULT_VFS_SO=os.path.abspath(options.extension), SQLITE_DEFAULT_VFS_NAME=options.vfs)

    def run(self, rows):
        """Runs all files, prints what is unexpected as it comes, and returns (results, unexpected)."""
        started, shown, results, bad = time.time(), time.time(), [], []
        with ThreadPoolExecutor(self.options.jobs) as pool, open(os.path.join(self.out, 'results.jsonl'), 'w') as log:
            for future in as_completed([pool.submit(self.run_file, row) for row in rows]):
                result = future.result()
                results.append(result)
                log.write(json.dumps(result) + '\n')
                log.flush()
                if result['problems']:
                    bad.append(result)
                    print(f"FAILED {result['file']}: {'; '.join(result['problems'])}", flush=True)
                if time.time() - shown > 15:
                    shown = time.time()
                    print(f'  {len(results)} of {len(rows)} files, {total(results, "tests")} tests, {shown - started:.0f} s', flush=True)
        self.summary(results, bad, time.time() - started)
        return results, bad

    def summary(self, results, bad, seconds):
        known = sum(len(result['known']) for result in results)
        print(f"setting {self.setting}: {len(results)} files, {total(results, 'tests'):,} tests, "
              f"{total(results, 'opens'):,} opens through {self.options.vfs if self.options.extension else 'stock SQLite (not counted)'}, "
              f"{known} expected failures, {len(bad)} files failed, {seconds:.0f} s", flush=True)
        for result in results:
            for test in result['now_passing']:
                print(f"  expected to fail, but passed: {result['file']} {test}", flush=True)

    def run_file(self, row):
        name = row['file']
        started = time.time()
        directory = tempfile.mkdtemp(prefix='suite.', dir=self.scratch)
        report, output = directory + '.opens', os.path.join(self.out, re.sub('[/ ]', '_', name) + '.txt')
        environment = dict(self.environment, SQLITE_DEFAULT_VFS_REPORT=report)
        if name.endswith('.test'):
            command = [os.path.join(BIN, 'testfixture'), os.path.join(SOURCE, name), '--testdir=' + directory]
            code = run_limited(command, BIN, environment, output, self.options.timeout)
            tests, failures = read_verdict(read_text(output))
        else:
            code, tests, failures = run_program(name, SOURCE, BIN, directory, environment, output, self.options.timeout)
        result = dict(file=name, code=code, tests=tests, failures=failures, seconds=round(time.time() - started, 2),
                      opens=read_opens(report, self.options.vfs))
        self.judge(result, row)
        shutil.rmtree(directory, ignore_errors=True)
        if not result['problems']:
            os.unlink(output)
        return result

    def judge(self, result, row):
        """Fills in problems (what makes the file fail), known (expected failures) and now_passing."""
        expected = self.expected.get(result['file'], {})
        problems = result['problems'] = []
        result['known'] = [test for test in result['failures'] if matches(test, expected)]
        result['now_passing'] = [test for test in expected if self.setting != '3' and '*' not in test and test not in result['failures']]
        unexpected = [test for test in result['failures'] if not matches(test, expected)]
        if result['tests'] is None:
            problems.append('timed out' if result['code'] == 'timeout' else f"broke off (exit code {result['code']})")
            return
        if unexpected:
            problems.append(f"{len(unexpected)} of {result['tests']}: {' '.join(unexpected[:12])}")
        floor = min(int(row.get(self.count_column) or 0), self.fewer.get(result['file'], sys.maxsize))
        if result['tests'] < floor:
            problems.append(f"ran {result['tests']} tests, stock SQLite runs {floor}")
        if result['tests'] == 0 and floor == 0 and 'tests' in row:
            problems.append('ran no test')
        if self.options.extension and not result['opens']:
            problems.append('opened nothing through the VFS')


def matches(test, expected):
    """Whether a test is among those expected to fail; a name that ends in '*' stands for all that begin so."""
    return test in expected or any(name.endswith('*') and test.startswith(name[:-1]) for name in expected)


def total(results, key):
    return sum(result[key] or 0 for result in results)


def read_verdict(text):
    """testfixture's verdict: how many tests ran (None when it broke off), and the names of those that failed."""
    verdicts = re.findall(r'^(\d+) errors out of (\d+) tests', text, re.M)
    failures = re.findall(r'^!Failures on these tests: (.*)$', text, re.M)
    return int(verdicts[-1][1]) if verdicts else None, sorted(set(failures[-1].split())) if failures else []


def choose(options, setting):
    """The rows to run. What expected/ marks with '*' is left out of that setting (there it says why)."""
    rows = read_table(os.path.join(HERE, 'files.tsv'))
    if setting == '3':
        rows = [row for row in rows if row['kind'] != 'more']
    else:
        rows += program_rows(options.fast)
    if options.list:
        with open(options.list) as lines:
            rows = [dict(file=line.split('\t')[0].strip()) for line in lines if line.strip() and not line.startswith('#')]
    rows = [row for row in rows if fnmatch.fnmatch(row['file'], options.files) and (not options.fast or row.get('fast', 'fast') == 'fast')]
    rows = [row for row in rows if '*' not in read_expected(setting).get(row['file'], {})]
    # The longest first, so that the end is not one process running alone.
    return sorted(rows, key=lambda row: -float(row.get('seconds') or 0))


def record(setting, results):
    """Stock SQLite is the measure: how many tests it runs, and in setting 3 which of them fail."""
    path, column = os.path.join(HERE, 'files.tsv'), SETTINGS[setting][1]
    rows, found = read_table(path), {result['file']: result for result in results}
    for row in rows:
        if row['file'] in found and found[row['file']]['tests'] is not None:
            row[column] = str(found[row['file']]['tests'])
            row['seconds'] = str(found[row['file']]['seconds'])
    write_table(path, ['file', 'kind', 'tests', 'tests_wal', 'fast', 'seconds'], rows)
    if setting == '3':
        expected = os.path.join(HERE, 'expected', '3.tsv')
        kept = [row for row in read_table(expected) if row['reason'] != 'stock']
        seen = [dict(file=result['file'], test=test, reason='stock') for result in results for test in result['failures']]
        write_table(expected, ['file', 'test', 'reason'], kept + seen)


def write_table(path, columns, rows):
    with open(path, 'w') as stream:
        stream.write('\t'.join(columns) + '\n')
        for row in rows:
            stream.write('\t'.join(row.get(column) or '' for column in columns) + '\n')


def main():
    options = arguments()
    if options.record and (options.extension or options.setting == 'all'):
        sys.exit('run.py: --record takes one --setting and no --extension')
    passed = failed = 0
    for setting in ['1', '2', '3'] if options.setting == 'all' else [options.setting]:
        results, bad = Suite(options, setting).run(choose(options, setting))
        if options.record:
            record(setting, results)
        passed, failed = passed + len(results) - len(bad), failed + len(bad)
    with open(os.path.join(options.out, 'totals.json'), 'w') as stream:
        json.dump(dict(passed=passed, failed=failed), stream)
    if passed + failed == 0:
        sys.exit(f'run.py: no file matches {options.files}')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
