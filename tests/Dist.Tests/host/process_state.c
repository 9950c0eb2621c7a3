/* Prints what loading the extension, and then opening a database with it, changed in the process: one "NAME VALUE" a line.
** usage: process_state EXTENSION [URI]
*/
#include <dirent.h>
#include <locale.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double milliseconds(void){
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec*1e3 + t.tv_nsec/1e6;
}

static int threads(void){
  DIR *d = opendir("/proc/self/task");
  struct dirent *e;
  int n = 0;
  while( (e = readdir(d))!=0 ) n += e->d_name[0]!='.';
  closedir(d);
  return n;
}

static void print(const char *when){
  struct sigaction a;
  sigset_t blocked;
  int i;
  printf("%s.threads %d\n", when, threads());
  printf("%s.locale %s\n", when, setlocale(LC_ALL, 0));
  printf("%s.signals ", when);
  sigprocmask(SIG_SETMASK, 0, &blocked);
  for(i=1; i<NSIG; i++){
    if( sigismember(&blocked, i)==1 ) printf("blocked:%d,", i);
    if( sigaction(i, 0, &a) ) continue;
    if( a.sa_handler==SIG_IGN ) printf("ignored:%d,", i);
    else if( a.sa_handler!=SIG_DFL ) printf("caught:%d,", i);
  }
  printf("\n");
}

static void usr1(int unused){ (void)unused; }

static void must(int rc, sqlite3 *db){
  if( rc==SQLITE_OK ) return;
  fprintf(stderr, "%s\n", sqlite3_errmsg(db));
  exit(1);
}

int main(int argc, char **argv){
  sqlite3 *db;
  double started;
  signal(SIGUSR1, usr1);                    /* a host with a handler of its own, and one signal ignored */
  signal(SIGHUP, SIG_IGN);
  setlocale(LC_ALL, "C.UTF-8");
  must(sqlite3_open(":memory:", &db), db);
  must(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0), db);
  print("before");
  started = milliseconds();
  must(sqlite3_load_extension(db, argv[1], 0, 0), db);
  printf("load.milliseconds %.3f\n", milliseconds()-started);
  print("loaded");
  sqlite3_close(db);
  if( argc>2 ){
    must(sqlite3_open_v2(argv[2], &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE|SQLITE_OPEN_URI, 0), db);
    must(sqlite3_exec(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1); SELECT * FROM t", 0, 0, 0), db);
    print("opened");
    must(sqlite3_close(db), db);
    print("closed");
  }
  return 0;
}
