/* Commits one row after the other and prints the number of each after its COMMIT returned, until it is killed or its input ends.
** usage: commits EXTENSION URI COUNT [leave]     with "leave": opens a transaction at the end and exits without closing anything
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv){
  sqlite3 *db, *loader;
  char sql[100];
  int i, count = atoi(argv[3]);
  sqlite3_open(":memory:", &loader);
  sqlite3_db_config(loader, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0);
  if( sqlite3_load_extension(loader, argv[1], 0, 0) ) return 2;
  if( sqlite3_open_v2(argv[2], &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE|SQLITE_OPEN_URI, 0)
   || sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, filler)", 0, 0, 0) ){
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    return 1;
  }
  for(i=0; i<count; i++){
    snprintf(sql, sizeof sql, "INSERT INTO n(filler) VALUES(randomblob(%d))", 10+i%3000);
    if( sqlite3_exec(db, sql, 0, 0, 0) ){
      fprintf(stderr, "%s\n", sqlite3_errmsg(db));
      return 1;
    }
    printf("%lld\n", (long long)sqlite3_last_insert_rowid(db));
    fflush(stdout);
  }
  if( argc>4 && strcmp(argv[4], "leave")==0 ){
    sqlite3_exec(db, "BEGIN; INSERT INTO n(filler) VALUES('never committed')", 0, 0, 0);
    exit(0);
  }
  getchar();
  return sqlite3_close(db);
}
