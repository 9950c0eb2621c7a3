"""commits.c in Python: commits one row after the other and prints the number of each after its COMMIT returned.

usage: commits.py EXTENSION DIRECTORY COUNT
"""
import sqlite3
import sys

extension, directory, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
loader = sqlite3.connect(':memory:')
loader.enable_load_extension(True)
loader.load_extension(extension)
db = sqlite3.connect(f'file:{directory}/app.db?vfs=recovery', uri=True, isolation_level=None, timeout=0)
print('version', sqlite3.sqlite_version, flush=True)
db.execute('CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, filler)')
for i in range(count):
    row = db.execute('INSERT INTO n(filler) VALUES(randomblob(?))', (10 + i % 3000,))
    print(row.lastrowid, flush=True)
sys.stdin.read()
db.close()
