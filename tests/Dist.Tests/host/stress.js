// Random work of four connections on one database through better-sqlite3 and its own SQLite: transfers that keep a sum, savepoints, spills, VACUUM,
// page sizes, every journal mode, exclusive locking, reopening. One thread, so the newest version is known exactly.
// usage: node stress.js EXTENSION DIRECTORY SEED SECONDS
const Database = require('better-sqlite3');
const path = require('path');

const [extension, directory, seed, seconds] = process.argv.slice(2);
process.env.RECOVERY_VFS_DEFAULT = '1';
new Database(':memory:').loadExtension(extension).close();

const accounts = 60;
let state = Number(seed) >>> 0;
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const any = (...choices) => choices[below(choices.length)];

const counts = {};
const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);
let step = 0;
let newest = 0;
const bad = (what) => {
  console.error(`seed ${seed}, step ${step}: ${what}`);
  process.exit(1);
};

function open() {
  const db = new Database(path.join(directory, 'stress.db'), { timeout: 0 });
  db.pragma('cache_size=8');
  return { db, wrote: false, last: -1, snapshot: -1 };
}

// Runs a statement; false when the database was busy. Other errors than a misuse of transactions by the random steps are bad.
function run(client, sql) {
  try {
    const statement = client.db.prepare(sql);
    client.result = statement.reader ? statement.raw().all() : (statement.run(), []);
    return true;
  } catch (error) {
    if (/^SQLITE_(BUSY|LOCKED)/.test(error.code)) count('busy');
    else if (error.code !== 'SQLITE_ERROR') bad(`${sql}: ${error.code} ${error.message}`);
    return false;
  }
}

const inside = (client) => client.db.inTransaction;

function check(client) {
  if (!run(client, `SELECT (SELECT n FROM ver), (SELECT sum(v) FROM acct), (SELECT count(*) FROM acct WHERE length(pad)!=len),
      (SELECT count(*) FROM acct), (SELECT sum(v) FROM acct INDEXED BY ai WHERE v>-1000000)`)) return;
  count('read');
  const [n, ...sums] = client.result[0];
  if (sums.join() !== [1000 * accounts, 0, accounts, 1000 * accounts].join()) bad('saw ' + sums);
  if (inside(client)) {
    if (client.snapshot >= 0 && n !== client.snapshot && !client.wrote) bad(`the snapshot moved from ${client.snapshot} to ${n}`);
    client.snapshot = n;
  } else if (n < newest) bad(`read version ${n}, newest is ${newest}`);
  if (n < client.last) bad(`went back from ${client.last} to ${n}`);
  if (!client.wrote) client.last = n;
}

function transfer(client) {
  const [a, b, amount, length] = [below(accounts), below(accounts), below(50), 1 + below(1500)];
  for (const sql of [
    `UPDATE acct SET v=v-${amount}, pad=randomblob(${length}), len=${length} WHERE id=${a}`,
    `UPDATE acct SET v=v+${amount} WHERE id=${b}`,
    'UPDATE ver SET n=n+1',
  ]) {
    if (!run(client, sql)) return false;
    client.wrote = true;
  }
  return true;
}

function end(client, commit) {
  if (!inside(client)) return;
  if (commit) {
    const version = run(client, 'SELECT n FROM ver') ? client.result[0][0] : undefined;
    if (!run(client, 'COMMIT')) {
      if (!client.wrote || below(2)) end(client, false);
      return;
    }
    if (client.wrote) newest = client.last = version;
    count('commit');
  } else {
    run(client, 'ROLLBACK');
    count('rollback');
  }
  client.wrote = false;
  client.snapshot = -1;
}

function transact(client) {
  if (run(client, 'BEGIN')) end(client, transfer(client));
  end(client, false);
}

function reopen(at) {
  clients[at].db.close();
  clients[at] = open();
}

const steps = [
  (c) => !inside(c) && run(c, any('BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE')),
  check,
  check,
  (c) => (inside(c) ? transfer(c) || end(c, false) : transact(c)),
  (c) => (inside(c) ? transfer(c) || end(c, false) : transact(c)),
  (c) => end(c, true),
  (c) => end(c, false),
  (c) => {
    if (!inside(c) || !run(c, 'SAVEPOINT s')) return;
    if (transfer(c) && transfer(c)) {
      run(c, any('ROLLBACK TO s', 'RELEASE s'));
      run(c, 'RELEASE s');
    } else end(c, false);
  },
  (c) => {
    if (inside(c) || below(3)) return;
    run(c, `PRAGMA page_size=${512 << below(6)}`);
    if (run(c, 'VACUUM')) count('vacuum');
  },
  (c) => !inside(c) && run(c, 'PRAGMA journal_mode=' + any('delete', 'truncate', 'persist', 'memory', 'off', 'wal', 'wal', 'wal')) && count('mode'),
  (c) => {
    if (inside(c)) return;
    if (below(2)) run(c, 'INSERT INTO junk SELECT randomblob(700) FROM acct');
    else if (run(c, 'DELETE FROM junk')) run(c, 'PRAGMA incremental_vacuum(20)');
  },
  (c, at) => {
    if (inside(c)) return;
    if (below(2)) reopen(at);
    else run(c, `PRAGMA wal_checkpoint(${any('PASSIVE', 'FULL', 'RESTART', 'TRUNCATE')})`);
  },
  (c, at) => {
    if (inside(c) || below(4)) return;
    run(c, 'PRAGMA locking_mode=exclusive');
    for (let i = 0; i < 4; i++) {
      transact(c);
      check(c);
      const other = clients[below(clients.length)];
      if (other !== c) check(other);
    }
    count('exclusive');
    reopen(at);
  },
  (c) => {
    if (below(8)) return;
    if (run(c, 'PRAGMA integrity_check') && c.result[0][0] !== 'ok') bad(c.result[0][0]);
    run(c, 'PRAGMA cache_size=8');
    count('integrity');
  },
];

const setup = new Database(path.join(directory, 'stress.db'));
console.log('version ' + setup.prepare('SELECT sqlite_version()').pluck().get());
setup.exec(`PRAGMA page_size=1024; PRAGMA auto_vacuum=2; CREATE TABLE acct(id INTEGER PRIMARY KEY, v INT, pad BLOB, len INT);
  CREATE TABLE ver(n INT); INSERT INTO ver VALUES(0); CREATE TABLE junk(x); CREATE INDEX ai ON acct(v);
  WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<${accounts - 1}) INSERT INTO acct SELECT i, 1000, zeroblob(300), 300 FROM c`);
setup.close();
const clients = [open(), open(), open(), open()];
for (const until = Date.now() + 1000 * Number(seconds); Date.now() < until; step++) {
  const at = below(clients.length);
  steps[below(steps.length)](clients[at], at);
}
for (const client of clients) end(client, false);
for (const client of clients) {
  check(client);
  for (const pragma of ['integrity_check', 'recovery_verify'])
    if (run(client, 'PRAGMA ' + pragma) && client.result[0][0] !== 'ok') bad(`${pragma}: ${client.result[0][0]}`);
}
for (const client of clients) client.db.close();
console.log(`${step} steps, version ${newest}: ${JSON.stringify(counts)}`);
