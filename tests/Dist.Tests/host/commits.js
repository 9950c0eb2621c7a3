// commits.c in Node: commits one row after the other and prints the number of each after its COMMIT returned.
// usage: node commits.js EXTENSION DIRECTORY COUNT
const fs = require('fs');
const Database = require('better-sqlite3');

const [extension, directory, count] = process.argv.slice(2);
process.env.RECOVERY_VFS_DEFAULT = '1';
new Database(':memory:').loadExtension(extension).close();
const db = new Database(directory + '/app.db', { timeout: 0 });
const say = (text) => fs.writeSync(1, text + '\n');
say('version ' + db.prepare('SELECT sqlite_version()').pluck().get());
db.exec('CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, filler)');
const insert = db.prepare('INSERT INTO n(filler) VALUES(randomblob(?))');
for (let i = 0; i < Number(count); i++) say(String(insert.run(10 + (i % 3000)).lastInsertRowid));
fs.readFileSync(0);
db.close();
