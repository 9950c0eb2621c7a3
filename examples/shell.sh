#!/bin/sh
# The sqlite3 shell: load the extension, then open with vfs=recovery.
# usage: shell.sh DIRECTORY
directory=$(realpath "${1:-.}")
extension=$(dirname "$0")/../dist/recovery

sqlite3 -batch -bail -separator ' ' <<SQL
.load $extension
.open 'file:$directory/app.db?vfs=recovery'
CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT);
INSERT INTO visits VALUES('shell', datetime('now'));
SELECT who, count(*) FROM visits GROUP BY who;
SQL
