#!/usr/bin/python3
"""Python's own sqlite3: load the extension once, then connect with vfs=recovery.

usage: python.py DIRECTORY
"""
import os
import sqlite3
import sys

directory = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else '.')
extension = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'dist', 'recovery')

loader = sqlite3.connect(':memory:')
loader.enable_load_extension(True)
loader.load_extension(extension)
loader.close()

db = sqlite3.connect(f'file:{directory}/app.db?vfs=recovery', uri=True)
with db:
    db.execute('CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT)')
    db.execute("INSERT INTO visits VALUES('python', datetime('now'))")
for who, count in db.execute('SELECT who, count(*) FROM visits GROUP BY who'):
    print(who, count)
db.close()
