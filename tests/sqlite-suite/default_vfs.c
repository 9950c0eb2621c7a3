/* default_vfs.c - SQLITE_EXTRA_INIT hook: make a VFS from a loadable extension
** the default VFS of any program that embeds SQLite.
**
** Build SQLite with  -DSQLITE_EXTRA_INIT=default_vfs_init  and link this file.
**
**   SQLITE_DEFAULT_VFS_SO      path of the .so (unset: hook does nothing)
**   SQLITE_DEFAULT_VFS_INIT    entry point (unset: SQLite's usual name rules)
**   SQLITE_DEFAULT_VFS_NAME    make this registered VFS the default (unset: the
**                              extension must have made itself the default)
**   SQLITE_DEFAULT_VFS_REPORT  if set: a file to which "pid default-vfs-name
**                              xOpen-count" is appended at process exit
** Any failure aborts the process: a test run must never silently fall back to
** the unix VFS.
*/
#include "sqlite3.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>

#pragma weak sqlite3_load_extension   /* absent with SQLITE_OMIT_LOAD_EXTENSION */
sqlite3_vfs *default_vfs = 0;          /* The VFS we made default, or 0 */
static int (*gOrigOpen)(sqlite3_vfs*,const char*,sqlite3_file*,int,int*);
static unsigned long gnOpen = 0;
static const char *gzReport = 0;

/* Names ever passed to xOpen (for glob emulation in the TCL bridge). */
#define MXNAME 4096
static char *gaName[MXNAME];
static int gnName = 0;
static pthread_mutex_t gMtx = PTHREAD_MUTEX_INITIALIZER;
int default_vfs_name_count(void){ return gnName; }
const char *default_vfs_name(int i){ return gaName[i]; }
void default_vfs_name_add(const char *z){
  int i;
  pthread_mutex_lock(&gMtx);
  for(i=0; i<gnName; i++) if( strcmp(gaName[i], z)==0 ) break;
  if( i==gnName && gnName<MXNAME ) gaName[gnName++] = strdup(z);
  pthread_mutex_unlock(&gMtx);
}

static int recOpen(sqlite3_vfs *p, const char *z, sqlite3_file *f, int fl, int *o){
  __sync_fetch_and_add(&gnOpen, 1);
  if( z ) default_vfs_name_add(z);
  return gOrigOpen(p, z, f, fl, o);
}

static void report(void){
  FILE *f = fopen(gzReport, "a");
  if( f ){
    fprintf(f, "%d %s %lu\n", (int)getpid(), default_vfs->zName, gnOpen);
    fclose(f);
  }
}

static int die(const char *zWhat, const char *zMsg){
  fprintf(stderr, "default_vfs: FATAL: %s: %s\n", zWhat, zMsg ? zMsg : "?");
  fflush(stderr);
  abort();
}

int default_vfs_init(const char *zUnused){
  const char *zSo = getenv("SQLITE_DEFAULT_VFS_SO");
  const char *zInit = getenv("SQLITE_DEFAULT_VFS_INIT");
  const char *zName = getenv("SQLITE_DEFAULT_VFS_NAME");
  sqlite3 *db = 0;
  char *zErr = 0;
  sqlite3_vfs *pOld, *pNew;
  int rc;

  (void)zUnused;
  if( zSo==0 || zSo[0]==0 ) return SQLITE_OK;
  if( default_vfs ){
    /* Re-initialization after sqlite3_shutdown(): os_init has just made unix
    ** the default again. No allocation here: OOM tests may be running. */
    return sqlite3_vfs_register(default_vfs, 1);
  }
  if( zInit && zInit[0]==0 ) zInit = 0;
  if( sqlite3_load_extension==0 ) return die("built with SQLITE_OMIT_LOAD_EXTENSION", zSo);

  /* Pin the library: closing the bootstrap connection must not dlclose() it. */
  if( dlopen(zSo, RTLD_NOW|RTLD_LOCAL|RTLD_NODELETE)==0 ) return die(zSo, dlerror());
  pOld = sqlite3_vfs_find(0);
  rc = sqlite3_open_v2(":memory:", &db,
                       SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE, 0);
  if( rc ) return die("open bootstrap connection", sqlite3_errmsg(db));
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int*)0);
  rc = sqlite3_load_extension(db, zSo, zInit, &zErr);
  if( rc ) return die("load_extension", zErr);
  sqlite3_close(db);

  if( zName && zName[0] ){
    pNew = sqlite3_vfs_find(zName);
    if( pNew==0 ) return die("no such VFS after load", zName);
    sqlite3_vfs_register(pNew, 1);
  }
  pNew = sqlite3_vfs_find(0);
  if( pNew==pOld ) return die("extension did not change the default VFS",
                              pOld ? pOld->zName : "none");
  default_vfs = pNew;
  gOrigOpen = pNew->xOpen;
  pNew->xOpen = recOpen;
  gzReport = getenv("SQLITE_DEFAULT_VFS_REPORT");
  if( gzReport ) atexit(report);
  return SQLITE_OK;
}
