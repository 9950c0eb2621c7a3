/* Makes a VFS from a loadable extension the default one of any program that embeds SQLite: build SQLite with
** -DSQLITE_EXTRA_INIT=default_vfs_init and link this file.
**
**   SQLITE_DEFAULT_VFS_SO      path of the extension (unset: nothing happens)
**   SQLITE_DEFAULT_VFS_NAME    the VFS in it that becomes the default
**   SQLITE_DEFAULT_VFS_REPORT  a file to which "PID VFS OPENS" is appended when the process ends
**
** Whatever fails ends the process: a test run must never fall back to the usual VFS in silence.
*/
#include "sqlite3.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>

sqlite3_vfs *default_vfs = 0;             /* the VFS made the default, or 0 */
static int (*openOfVfs)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*);
static unsigned long openCount = 0;
static const char *reportPath = 0;

/* Names ever passed to xOpen: what file_bridge.tcl's `glob` looks through. */
enum { MAX_NAMES = 4096 };
static char *names[MAX_NAMES];
static int nameCount = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int default_vfs_name_count(void){ return nameCount; }
const char *default_vfs_name(int i){ return names[i]; }

static void remember(const char *name){
  int i;
  pthread_mutex_lock(&mutex);
  for(i=0; i<nameCount && strcmp(names[i], name); i++);
  if( i==nameCount && nameCount<MAX_NAMES ) names[nameCount++] = strdup(name);
  pthread_mutex_unlock(&mutex);
}

static int countedOpen(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *outFlags){
  __sync_fetch_and_add(&openCount, 1);
  if( name ) remember(name);
  return openOfVfs(v, name, file, flags, outFlags);
}

static void report(void){
  FILE *f = fopen(reportPath, "a");
  if( f==0 ) return;
  fprintf(f, "%d %s %lu\n", (int)getpid(), default_vfs->zName, openCount);
  fclose(f);
}

static int die(const char *what, const char *why){
  fprintf(stderr, "default_vfs: %s: %s\n", what, why ? why : "unknown error");
  fflush(stderr);
  abort();
}

int default_vfs_init(const char *unused){
  const char *so = getenv("SQLITE_DEFAULT_VFS_SO"), *name = getenv("SQLITE_DEFAULT_VFS_NAME");
  sqlite3 *db = 0;
  char *error = 0;
  (void)unused;
  if( so==0 || so[0]==0 ) return SQLITE_OK;
  if( default_vfs ){
    /* SQLite starts again after sqlite3_shutdown(), with the usual VFS as default. Nothing may be allocated here: tests that
    ** let allocations fail are running. */
    return sqlite3_vfs_register(default_vfs, 1);
  }
  if( sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE, 0) ) return die("no connection to load with", sqlite3_errmsg(db));
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0);
  if( sqlite3_load_extension(db, so, 0, &error) ) return die(so, error);
  sqlite3_close(db);
  default_vfs = sqlite3_vfs_find(name);
  if( default_vfs==0 ) return die("the extension registered no such VFS", name);
  sqlite3_vfs_register(default_vfs, 1);
  openOfVfs = default_vfs->xOpen;
  default_vfs->xOpen = countedOpen;
  reportPath = getenv("SQLITE_DEFAULT_VFS_REPORT");
  if( reportPath ) atexit(report);
  return SQLITE_OK;
}
