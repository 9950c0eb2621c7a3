"""SQLite's test programs besides testfixture: threadtest3, and the part of mptester that one process can run.

mptester drives several processes that write one database, which a store (one writing process) refuses. What is kept: its
scripts' statements in one process, in every journal mode, and its crash in the middle of a transaction too large for the cache.
"""
import os
import re

from limited import read_text, run_limited

# Seconds each takes by itself. walthread5 is not among them: it looks for test.db-wal with stat(), and a WAL is in the store.
THREADTESTS = {
    'walthread1': 20, 'walthread2': 20, 'walthread3': 20, 'walthread4': 20, 'cgt_pager_1': 0,
    'dynamic_triggers': 20, 'checkpoint_starvation_1': 10, 'checkpoint_starvation_2': 10, 'create_drop_index_1': 10,
    'lookaside1': 10, 'vacuum1': 10, 'stress1': 10, 'stress2': 60, 'shared1': 10,
}
FAST_THREADTESTS = ['cgt_pager_1', 'vacuum1']
JOURNAL_MODES = ['delete', 'truncate', 'persist', 'memory', 'wal']
PAGE_SIZES = [1024, 65536]


def program_rows(fast):
    """Rows like those of files.tsv, for the programs."""
    rows = [dict(file='threadtest3 ' + name, seconds=seconds) for name, seconds in THREADTESTS.items()
            if not fast or name in FAST_THREADTESTS]
    rows += [dict(file=f'mptester {mode} {size}', seconds=2) for mode in JOURNAL_MODES for size in PAGE_SIZES]
    return rows


def run_program(name, source, programs, directory, environment, output, seconds):
    """Runs one row's program in an empty directory. Returns (exit code, tests, failures)."""
    if name.startswith('threadtest3 '):
        return run_threadtest(name.split()[1], programs, directory, environment, output, seconds)
    _, mode, size = name.split()
    return run_mptester(mode, size, source, programs, directory, environment, output, seconds)


def run_threadtest(test, programs, directory, environment, output, seconds):
    code = run_limited([os.path.join(programs, 'threadtest3'), test], directory, environment, output, seconds)
    verdict = re.search(r'^(\d+) errors out of (\d+) tests', read_text(output), re.M)
    if not verdict:
        return code, None, []
    return code, int(verdict[2]), [test] if int(verdict[1]) or code != 0 else []


def run_mptester(mode, size, source, programs, directory, environment, output, seconds):
    begin = f'PRAGMA page_size={size};\nPRAGMA journal_mode={mode};\n--reset\n'
    tests, failures = 0, []
    # mptester deletes its database when it starts, so each script has one of its own, and the crash follows in the same process.
    for script, text, expected_code in [
        ('write', begin + in_one_process(source, 'multiwrite01.test'), 0),
        ('crash', begin + in_one_process(source, 'crash01.test', until='--source') + crash(source), 1),
    ]:
        with open(os.path.join(directory, script + '.test'), 'w') as stream:
            stream.write(text)
        code = run_limited([os.path.join(programs, 'mptester'), script + '.db', script + '.test'], directory, environment, output, seconds)
        if code == 'timeout':
            return code, None, []
        if code != expected_code:
            failures.append(script)
    with open(os.path.join(directory, 'check.tcl'), 'w') as stream:
        stream.write(CHECK)
    code = run_limited([os.path.join(programs, 'testfixture'), 'check.tcl'], directory, environment, output, seconds)
    text = read_text(output)
    failures += ['check'] if code != 0 else []
    failures += re.findall(r'^\d+\.mptest:ERROR: (.*)$', text, re.M)
    tests = sum(int(count) for count in re.findall(r'^Summary: \d+ errors out of (\d+) tests', text, re.M))
    return code, tests + 2, failures


# After the crash: the table as it was committed, and a sound database.
CHECK = """sqlite3 db crash.db
set found [db eval {SELECT count(*), sum(length(b)) FROM t1; PRAGMA integrity_check}]
puts "after the crash: $found"
exit [expr {$found ne {64 247 ok}}]
"""


def in_one_process(source, script, until=None):
    """A script's statements without the lines that hand them to other processes."""
    text = read_text(os.path.join(source, 'mptest', script))
    if until:
        text = text[:text.index('\n' + until) + 1]
    return re.sub(r'^--(task|end|wait)\b.*\n', '', text, flags=re.M)


def crash(source):
    """The task of crash02 that leaves its process in the middle of a large transaction."""
    text = read_text(os.path.join(source, 'mptest', 'crash02.subtest'))
    task = re.search(r'^--task 1.*?\n(.*?)^--end', text, re.M | re.S)[1]
    return re.sub(r'^\s*--finish\n', '', task, flags=re.M)
