// Node with better-sqlite3. It takes no file: URIs, so the VFS is made the default one before the extension is loaded;
// every database opened afterwards is in a store.
// usage: node app.js DIRECTORY
const path = require('path');
const Database = require('better-sqlite3');

const directory = path.resolve(process.argv[2] ?? '.');
const extension = process.env.RECOVERY_EXTENSION ?? path.join(__dirname, '..', '..', 'dist', 'recovery');

process.env.RECOVERY_VFS_DEFAULT = '1';
new Database(':memory:').loadExtension(extension).close();

const db = new Database(path.join(directory, 'app.db'));
db.exec('CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT)');
db.prepare("INSERT INTO visits VALUES('node', datetime('now'))").run();
for (const { who, count } of db.prepare('SELECT who, count(*) AS count FROM visits GROUP BY who').all())
  console.log(who, count);
db.close();
