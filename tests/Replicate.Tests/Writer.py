# An application that knows nothing of any replicator: each of its transactions leaves a state that proves itself (counts and sums in `state` fit the rows),
# and what was acknowledged is written to a file. Run by ReplicationRuns.
import random, sqlite3, sys

path, acked, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
r = random.Random(seed)
c = sqlite3.connect(path, timeout=60, isolation_level=None)
c.execute('PRAGMA synchronous=OFF')
log = open(acked, 'a')

def transaction():
    c.execute('BEGIN IMMEDIATE')
    seq, count, total = c.execute('SELECT seq, count, total FROM state').fetchone()
    for _ in range(r.randint(1, 4)):
        seq, count, x = seq + 1, count + 1, r.getrandbits(40)
        total += x
        c.execute('INSERT INTO log(n, x, b) VALUES (?, ?, ?)', (seq, x, r.randbytes(r.randint(0, 3000))))
    if r.random() < 0.3:
        limit = seq - r.randint(0, 150)
        gone, x = c.execute('SELECT count(*), coalesce(sum(x), 0) FROM log WHERE n < ?', (limit,)).fetchone()
        count, total = count - gone, total - x
        c.execute('DELETE FROM log WHERE n < ?', (limit,))
    c.execute('UPDATE state SET seq = ?, count = ?, total = ?', (seq, count, total))
    if r.random() < 0.1:
        c.execute('ROLLBACK')
        return
    c.execute('COMMIT')
    log.write('%d\n' % seq)
    log.flush()

while True:
    try:
        what = r.random()
        if what < 0.003: c.execute('VACUUM')
        elif what < 0.01: c.execute('PRAGMA wal_checkpoint(%s)' % r.choice(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE']))
        elif what < 0.02:
            c.close()
            c = sqlite3.connect(path, timeout=60, isolation_level=None)
            c.execute('PRAGMA synchronous=OFF')
        else: transaction()
    except sqlite3.OperationalError as e:
        if 'locked' not in str(e): raise
        if c.in_transaction: c.execute('ROLLBACK')
