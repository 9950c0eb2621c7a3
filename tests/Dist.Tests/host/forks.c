/* Forks with the extension loaded, before or after a database was opened, and uses databases in parent and child.
** usage: forks before|after EXTENSION URI       prints "child RESULT" and "parent RESULT"; errors of the VFS go to stderr
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void logged(void *unused, int code, const char *text){
  (void)unused;
  fprintf(stderr, "%d: %s\n", code, text);
}

static void say(const char *who, sqlite3 *db, int rc){
  printf("%s %s\n", who, rc==SQLITE_OK ? "ok" : sqlite3_errmsg(db));
  fflush(stdout);
}

static int openUri(const char *uri, sqlite3 **db){
  return sqlite3_open_v2(uri, db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE|SQLITE_OPEN_URI, 0);
}

static int work(sqlite3 *db){
  return sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS t(x); INSERT INTO t VALUES(1)", 0, 0, 0);
}

int main(int argc, char **argv){
  sqlite3 *db = 0, *loader, *other = 0;
  int after, rc, status;
  pid_t child;
  if( argc!=4 ) return 2;
  after = strcmp(argv[1], "after")==0;
  sqlite3_config(SQLITE_CONFIG_LOG, logged, (void*)0);
  sqlite3_open(":memory:", &loader);
  sqlite3_db_config(loader, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0);
  if( sqlite3_load_extension(loader, argv[2], 0, 0) ) return 2;
  if( after && (openUri(argv[3], &db) || work(db)) ) return 2;
  child = fork();
  if( child==0 ){
    if( after ){
      say("child-with-parents-connection", db, work(db));
      rc = openUri(argv[3], &other);
      say("child-with-its-own", other, rc ? rc : work(other));
    }else{
      rc = openUri(argv[3], &other);
      say("child", other, rc ? rc : work(other));
      sqlite3_close(other);
    }
    exit(0);                        /* with all that runs at exit */
  }
  waitpid(child, &status, 0);
  printf("child-status %d\n", status);
  if( !after ) rc = openUri(argv[3], &db);
  else rc = SQLITE_OK;
  say("parent", db, rc ? rc : work(db));
  say("parent-close", db, sqlite3_close(db));
  return 0;
}
