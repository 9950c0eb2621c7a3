/* What SQLite loads: a thin face in C over the VFS, which is .NET compiled ahead of time.
**
** The library is a guest in somebody else's process. So loading it registers this face and does nothing more; the .NET runtime,
** with its thread, starts when the first file is opened through it (until then the process may fork as it likes). Signal
** dispositions that the runtime changes and does not need are put back.
*/
#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1
#include "guest.h"
#include <pthread.h>
#include <string.h>

/* EntryPoint.cs: starts the runtime and returns the VFS behind this face; null when it cannot, the reason is in the host's log.
** fileBytes is what SQLite will allocate for a file. */
sqlite3_vfs *recovery_start(const sqlite3_api_routines *api, int fileBytes);
enum { FILE_BYTES = 64 };

#define PUBLIC __attribute__((visibility("default")))

static sqlite3_vfs face;
static sqlite3_vfs *behind;         /* null until started; set once */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

/* Why it did not start, for recovery_last_error() and the host's log. */
static const char *whyNot = "";

static sqlite3_vfs *startKeepingSignals(void){
  struct signals signals;
  sqlite3_vfs *vfs;
  if( !hasOpenSsl() ){
    whyNot = "recovery: OpenSSL is missing: libssl.so.3 was not found. Install it (on Debian: apt install libssl3).";
    sqlite3_log(SQLITE_CANTOPEN, "%s", whyNot);
    return 0;
  }
  noteSignals(&signals);
  vfs = recovery_start(sqlite3_api, face.szOsFile);
  putSignalsBack(&signals);
  return vfs;
}

/* The VFS behind the face, started at the first use; null when that failed (and the next use tries again). */
static sqlite3_vfs *start(void){
  sqlite3_vfs *vfs = __atomic_load_n(&behind, __ATOMIC_ACQUIRE);
  if( vfs ) return vfs;
  pthread_mutex_lock(&starting);
  if( behind==0 ) __atomic_store_n(&behind, startKeepingSignals(), __ATOMIC_RELEASE);
  vfs = behind;
  pthread_mutex_unlock(&starting);
  return vfs;
}

static int faceOpen(sqlite3_vfs *unused, const char *name, sqlite3_file *file, int flags, int *outFlags){
  sqlite3_vfs *vfs = start();
  (void)unused;
  file->pMethods = 0;
  return vfs ? vfs->xOpen(vfs, name, file, flags, outFlags) : SQLITE_CANTOPEN;
}

static int faceDelete(sqlite3_vfs *unused, const char *name, int syncDirectory){
  sqlite3_vfs *vfs = start();
  (void)unused;
  return vfs ? vfs->xDelete(vfs, name, syncDirectory) : SQLITE_IOERR_DELETE;
}

static int faceAccess(sqlite3_vfs *unused, const char *name, int flags, int *result){
  sqlite3_vfs *vfs = start();
  (void)unused;
  *result = 0;
  return vfs ? vfs->xAccess(vfs, name, flags, result) : SQLITE_IOERR_ACCESS;
}

static int faceLastError(sqlite3_vfs *unused, int bytes, char *text){
  sqlite3_vfs *vfs = __atomic_load_n(&behind, __ATOMIC_ACQUIRE);
  (void)unused;
  if( vfs ) return vfs->xGetLastError(vfs, bytes, text);
  if( bytes>0 ) sqlite3_snprintf(bytes, text, "%s", whyNot);
  return 0;
}

/* recovery_last_error(): what the last failure said in full, on every connection. SQLite's own words for it are few. */
static void lastError(sqlite3_context *context, int count, sqlite3_value **values){
  enum { BYTES = 8192 };
  char *text = sqlite3_malloc(BYTES);
  (void)count; (void)values;
  if( text==0 ) return;
  text[0] = 0;
  faceLastError(0, BYTES, text);
  sqlite3_result_text(context, text, -1, sqlite3_free);
}

/* The table-valued functions (RowFunction.cs has what they do): every connection has them, and the runtime starts when one
** is used. Each method is passed on to the one behind. */
sqlite3_module *recovery_functions(void);
static sqlite3_module *functions(void){ return start() ? recovery_functions() : 0; }

static int tableConnect(sqlite3 *db, void *number, int count, const char *const*arguments, sqlite3_vtab **table, char **error){
  sqlite3_module *behindModule = functions();
  return behindModule ? behindModule->xConnect(db, number, count, arguments, table, error) : SQLITE_CANTOPEN;
}
static int tableBestIndex(sqlite3_vtab *table, sqlite3_index_info *info){ return functions()->xBestIndex(table, info); }
static int tableDisconnect(sqlite3_vtab *table){ return functions()->xDisconnect(table); }
static int tableOpen(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor){ return functions()->xOpen(table, cursor); }
static int tableClose(sqlite3_vtab_cursor *cursor){ return functions()->xClose(cursor); }
static int tableFilter(sqlite3_vtab_cursor *cursor, int index, const char *text, int count, sqlite3_value **values){
  return functions()->xFilter(cursor, index, text, count, values);
}
static int tableNext(sqlite3_vtab_cursor *cursor){ return functions()->xNext(cursor); }
static int tableEof(sqlite3_vtab_cursor *cursor){ return functions()->xEof(cursor); }
static int tableColumn(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column){ return functions()->xColumn(cursor, context, column); }
static int tableRowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid){ return functions()->xRowid(cursor, rowid); }

static const sqlite3_module tables = {
  .xConnect = tableConnect, .xBestIndex = tableBestIndex, .xDisconnect = tableDisconnect, .xOpen = tableOpen, .xClose = tableClose,
  .xFilter = tableFilter, .xNext = tableNext, .xEof = tableEof, .xColumn = tableColumn, .xRowid = tableRowid,
};

/* In the order of RowFunction.All. */
static const char *const tableNames[] = { "recovery_log", "recovery_changes", "recovery_diff", "recovery_history", "recovery_at" };

static int addLastError(sqlite3 *db, char **error, const sqlite3_api_routines *api){
  size_t i;
  (void)error; (void)api;
  for(i=0; i<sizeof(tableNames)/sizeof(tableNames[0]); i++) sqlite3_create_module(db, tableNames[i], &tables, (void*)i);
  sqlite3_create_function(db, "recovery_last_error", 0, SQLITE_UTF8, 0, lastError, 0, 0);
  return SQLITE_OK;
}

static int fail(const sqlite3_api_routines *api, char **error, const char *text){
  if( error ) *error = api->mprintf("%s", text);
  return SQLITE_ERROR;
}

/* Called by each connection that loads the library; the first call registers the VFS for the whole process. */
PUBLIC int sqlite3_recovery_init(sqlite3 *db, char **error, const sqlite3_api_routines *api){
  const char *makeDefault = getenv("RECOVERY_VFS_DEFAULT");
  sqlite3_vfs *usual;
  if( face.zName ){
    if( sqlite3_api->vfs_register==api->vfs_register ){
      addLastError(db, 0, api);
      return SQLITE_OK_LOAD_PERMANENTLY;
    }
    return fail(api, error, "recovery: another copy of SQLite in this process has loaded this library already; use one SQLite for all databases");
  }
  SQLITE_EXTENSION_INIT2(api);
  if( sqlite3_libversion_number()<3034000 ) return fail(api, error, "recovery: this SQLite is too old, 3.34 or newer is needed");
  usual = sqlite3_vfs_find("unix");
  if( usual==0 ) usual = sqlite3_vfs_find(0);
  if( usual==0 ) return fail(api, error, "recovery: this SQLite has no VFS to put files with");
  face = *usual;                    /* paths, time, randomness, sleep and dl* stay the host's */
  face.iVersion = usual->iVersion<2 ? usual->iVersion : 2;
  face.szOsFile = usual->szOsFile<FILE_BYTES ? FILE_BYTES : usual->szOsFile;
  face.pNext = 0;
  face.xOpen = faceOpen;
  face.xDelete = faceDelete;
  face.xAccess = faceAccess;
  face.xGetLastError = faceLastError;
  face.zName = "recovery";
  if( sqlite3_vfs_register(&face, makeDefault!=0 && strcmp(makeDefault, "1")==0) ){
    face.zName = 0;
    return fail(api, error, "recovery: SQLite refused to register the VFS");
  }
  sqlite3_auto_extension((void(*)(void))addLastError);
  addLastError(db, 0, api);
  return SQLITE_OK_LOAD_PERMANENTLY;
}

/* What SQLite looks for when the file was renamed. */
PUBLIC int sqlite3_extension_init(sqlite3 *db, char **error, const sqlite3_api_routines *api){
  return sqlite3_recovery_init(db, error, api);
}
