/* C: load the extension once, then open with vfs=recovery.
** build: gcc -O2 app.c -lsqlite3 -o app      usage: ./app EXTENSION DIRECTORY
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int rc, sqlite3 *db, const char *what){
  if( rc==SQLITE_OK ) return;
  fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
  exit(1);
}

static int print(void *unused, int columns, char **values, char **names){
  (void)unused; (void)columns; (void)names;
  printf("%s %s\n", values[0], values[1]);
  return 0;
}

int main(int argc, char **argv){
  sqlite3 *db;
  char *uri;
  if( argc!=3 ){
    fprintf(stderr, "usage: %s EXTENSION DIRECTORY\n", argv[0]);
    return 2;
  }
  must(sqlite3_open(":memory:", &db), db, "open");
  must(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0), db, "enable loading");
  must(sqlite3_load_extension(db, argv[1], 0, 0), db, argv[1]);
  sqlite3_close(db);

  uri = sqlite3_mprintf("file:%s/app.db?vfs=recovery", argv[2]);
  must(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE|SQLITE_OPEN_URI, 0), db, uri);
  must(sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT);"
                        "INSERT INTO visits VALUES('c', datetime('now'));", 0, 0, 0), db, "write");
  must(sqlite3_exec(db, "SELECT who, count(*) FROM visits GROUP BY who", print, 0, 0), db, "read");
  sqlite3_free(uri);
  return sqlite3_close(db)!=SQLITE_OK;
}
