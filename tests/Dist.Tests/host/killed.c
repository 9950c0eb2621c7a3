/* Commits from several connections at once, to be killed at any moment; what it finds at its start tells whether the kill before lost or
** tore anything.
** usage: killed EXTENSION DIRECTORY OPTIONS MODE SEED       OPTIONS as in a URI ("journal=plain&..."), MODE a journal mode
**        killed EXTENSION DIRECTORY OPTIONS MODE check      only looks
**        killed EXTENSION DIRECTORY OPTIONS MODE SEED N     exits with 7 by itself, in the middle of everything, after the reader's N-th look
**
** Writers, each with a connection of its own; after a COMMIT returned, "WRITER NUMBER" is printed:
**   0, 1  transfers between accounts of a.db, a few pages each
**   2     rewrites much of a.db with a cache of five pages, so that it spills; VACUUM now and then
**   3     a.db and an attached b.db in one transaction
** Besides, a reader checks the sums all the time. First of all "state N0 N1 N2 N3 N3-in-b" is printed, once all is known to be sound.
*/
#include <sqlite3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS = 4, ACCOUNTS = 50, ROWS = 200 };
static const char *directory, *options, *mode;
static unsigned seed;

typedef struct { int id; unsigned random; sqlite3 *db; } Client;

static unsigned below(Client *c, unsigned n){
  c->random = c->random*1103515245u + 12345u;
  return (c->random>>8) % n;
}

/* What a message of SQLite does not say stands in its log. */
static void logLine(void *unused, int code, const char *text){
  (void)unused;
  if( code!=SQLITE_SCHEMA && (code&0xff)!=SQLITE_BUSY && (code&0xff)!=SQLITE_NOTICE ) fprintf(stderr, "log (%d): %s\n", code, text);
}

/* Ends the process for one thread; others wait, for a process must not exit twice at once. */
static void end(int code){
  static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&once);
  exit(code);
}

static void die(sqlite3 *db, const char *what){
  fprintf(stderr, "%s: %s (%d)\n", what, sqlite3_errmsg(db), sqlite3_extended_errcode(db));
  end(1);
}

static void openDatabase(Client *c){
  char uri[1000];
  snprintf(uri, sizeof uri, "file:%s/a.db?vfs=recovery&%s", directory, options);
  if( sqlite3_open_v2(uri, &c->db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE|SQLITE_OPEN_URI, 0) ) die(c->db, uri);
}

static int try(Client *c, const char *format, ...){
  va_list values;
  char *sql;
  int rc;
  va_start(values, format);
  sql = sqlite3_vmprintf(format, values);
  va_end(values);
  rc = sqlite3_exec(c->db, sql, 0, 0, 0);
  if( rc!=SQLITE_OK && rc!=SQLITE_BUSY && rc!=SQLITE_LOCKED ) die(c->db, sql);
  sqlite3_free(sql);
  return rc==SQLITE_OK;
}

static void must(Client *c, const char *sql){
  while( !try(c, "%s", sql) ) usleep(200);
}

/* The row of a query as text, columns separated by spaces. */
static void ask(Client *c, const char *sql, char *answer, int size){
  sqlite3_stmt *statement = 0;
  int rc, i;
  do{
    answer[0] = 0;
    rc = sqlite3_prepare_v2(c->db, sql, -1, &statement, 0);
    while( rc==SQLITE_OK && (rc = sqlite3_step(statement))==SQLITE_ROW ){
      for(i=0; i<sqlite3_column_count(statement); i++)
        snprintf(answer+strlen(answer), size-strlen(answer), "%s%s", answer[0] ? " " : "", sqlite3_column_text(statement, i));
      rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    if( rc!=SQLITE_DONE && rc!=SQLITE_BUSY && rc!=SQLITE_LOCKED ) die(c->db, sql);
  }while( rc!=SQLITE_DONE );
}

static void expect(Client *c, const char *sql, const char *wanted){
  char answer[2000];
  ask(c, sql, answer, sizeof answer);
  if( strcmp(answer, wanted)==0 ) return;
  fprintf(stderr, "%s: %s instead of %s\n", sql, answer, wanted);
  end(1);
}

#define SUMS "SELECT (SELECT sum(v) FROM account), (SELECT count(*) FROM account WHERE length(pad)!=len), (SELECT sum(v) FROM account INDEXED BY byv WHERE v>-1000000)," \
  " (SELECT count(*) FROM big WHERE length(pad)!=len), (SELECT count(DISTINCT n) FROM big)"
#define RIGHT "50000 0 50000 0 1"

static void checkSums(Client *c){ expect(c, SUMS, RIGHT); }

static void setUp(Client *c){
  char sql[1500];
  must(c, "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS done(writer INTEGER PRIMARY KEY, n INT); COMMIT");
  ask(c, "SELECT count(*) FROM done", sql, sizeof sql);
  if( strcmp(sql, "0") ) return;
  snprintf(sql, sizeof sql,
    "BEGIN IMMEDIATE;"
    "CREATE TABLE account(id INTEGER PRIMARY KEY, v INT, pad BLOB, len INT); CREATE INDEX byv ON account(v);"
    "CREATE TABLE big(id INTEGER PRIMARY KEY, n INT, pad BLOB, len INT);"
    "WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO account SELECT i, 1000, zeroblob(100), 100 FROM c;"
    "WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO big SELECT i, 0, zeroblob(700), 700 FROM c;"
    "INSERT INTO done VALUES(0,0),(1,0),(2,0),(3,0);"
    "COMMIT", ACCOUNTS-1, ROWS-1);
  must(c, sql);
}

static void attach(Client *c){
  char sql[1200];
  snprintf(sql, sizeof sql, "ATTACH 'file:%s/b.db?vfs=recovery&%s' AS b", directory, options);
  must(c, sql);
  must(c, "CREATE TABLE IF NOT EXISTS b.twin(n INT, pad BLOB)");
  must(c, "INSERT INTO b.twin SELECT 0, NULL WHERE NOT EXISTS (SELECT 1 FROM b.twin)");
}

static int transfer(Client *c){
  int amount = below(c, 100), length = 1 + below(c, 900);
  return try(c, "UPDATE account SET v=v-%d, pad=randomblob(%d), len=%d WHERE id=%d", amount, length, length, below(c, ACCOUNTS))
      && try(c, "UPDATE account SET v=v+%d WHERE id=%d", amount, below(c, ACCOUNTS));
}

static int rewrite(Client *c){
  int length = 300 + below(c, 900);
  return try(c, "UPDATE big SET n=n+1, pad=randomblob(%d), len=%d", length, length);
}

static int both(Client *c){
  return try(c, "UPDATE b.twin SET n=n+1, pad=randomblob(%d)", below(c, 3000));
}

static void *writeForever(void *argument){
  static int (*const work[WRITERS])(Client*) = { transfer, transfer, rewrite, both };
  Client *c = argument;
  char sql[100], line[100];
  openDatabase(c);
  try(c, "PRAGMA synchronous=%d", below(c, 3));
  if( strcmp(mode, "wal") ) try(c, "PRAGMA journal_mode=%s", mode);
  if( c->id==2 ) must(c, "PRAGMA cache_size=5");
  if( c->id==3 ) attach(c);
  for(;;){
    usleep(below(c, 500));   /* fairer than a busy handler, which starves whoever waited long */
    if( !try(c, "BEGIN IMMEDIATE") ) continue;
    if( !work[c->id](c) || !try(c, "UPDATE done SET n=n+1 WHERE writer=%d", c->id) || below(c, 8)==0 ){
      must(c, "ROLLBACK");
      continue;
    }
    snprintf(sql, sizeof sql, "SELECT writer, n FROM done WHERE writer=%d", c->id);
    ask(c, sql, line, sizeof line - 1);
    strcat(line, "\n");
    must(c, "COMMIT");
    if( write(1, line, strlen(line))<0 ) end(1);
    if( c->id==2 && below(c, 20)==0 ) try(c, "VACUUM");
    if( below(c, 40)==0 ) try(c, "PRAGMA wal_checkpoint(%s)", below(c, 2) ? "TRUNCATE" : "PASSIVE");
    if( below(c, 60)==0 ){
      sqlite3_close(c->db);
      openDatabase(c);
      if( c->id==2 ) must(c, "PRAGMA cache_size=5");
      if( c->id==3 ) attach(c);
    }
  }
  return 0;
}

int main(int argc, char **argv){
  static Client clients[WRITERS];
  pthread_t threads[WRITERS];
  sqlite3 *loader;
  Client reader;
  char state[300], sql[300];
  int i;
  if( argc<6 ) return 2;
  directory = argv[2];
  options = argv[3];
  mode = argv[4];
  seed = (unsigned)atoi(argv[5]);
  sqlite3_config(SQLITE_CONFIG_LOG, logLine, (void*)0);
  sqlite3_open(":memory:", &loader);
  sqlite3_db_config(loader, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0);
  if( sqlite3_load_extension(loader, argv[1], 0, 0) ) return 2;
  memset(&reader, 0, sizeof reader);
  openDatabase(&reader);
  snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", mode);
  must(&reader, sql);
  setUp(&reader);
  attach(&reader);
  if( strcmp(mode, "wal")==0 ) must(&reader, "PRAGMA b.journal_mode=wal");
  expect(&reader, "PRAGMA main.integrity_check", "ok");
  expect(&reader, "PRAGMA b.integrity_check", "ok");
  expect(&reader, "PRAGMA recovery_verify", "ok");
  checkSums(&reader);
  ask(&reader, "SELECT 'state', max(n) FILTER (WHERE writer=0), max(n) FILTER (WHERE writer=1), max(n) FILTER (WHERE writer=2),"
    " max(n) FILTER (WHERE writer=3), (SELECT n FROM b.twin) FROM done", state, sizeof state);
  puts(state);
  fflush(stdout);
  if( strcmp(argv[5], "check")==0 ) return sqlite3_close(reader.db);
  for(i=0; i<WRITERS; i++){
    clients[i].id = i;
    clients[i].random = seed*7919u + i*104729u;
    pthread_create(&threads[i], 0, writeForever, &clients[i]);
  }
  for(i=argc>6 ? atoi(argv[6]) : -1; i!=0; i--) checkSums(&reader);
  end(7);
}
