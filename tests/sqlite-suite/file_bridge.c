/* A Tcl command that reaches files through the default VFS, so that SQLite's tester.tcl can delete, copy and inspect databases
** that are not files on disk. Linked only into testfixture; file_bridge.tcl overrides Tcl's `file`, `glob` and others with it.
**
**   vfsfs active | list                    is a VFS from an extension the default one? names ever opened that exist
**   vfsfs exists F | delete F | size F
**   vfsfs read F OFFSET N | write F OFFSET BYTES       N < 0: to the end
*/
#include "sqlite3.h"
#include <tcl.h>
#include <string.h>
#include <stdlib.h>

extern sqlite3_vfs *default_vfs;
extern int default_vfs_name_count(void);
extern const char *default_vfs_name(int);

/* One open file. A journal or WAL is opened as SQLite does it: while its database is open. */
typedef struct File {
  sqlite3_file *file;
  sqlite3_filename name;
  struct File *database;
} File;

static int openAs(sqlite3_vfs *v, const char *name, int flags, File *f){
  int rc, outFlags = 0;
  f->database = 0;
  f->name = sqlite3_create_filename(name, "", "", 0, 0);
  f->file = calloc(1, v->szOsFile);
  rc = v->xOpen(v, f->name, f->file, flags, &outFlags);
  if( rc ){
    free(f->file);
    sqlite3_free_filename((char*)f->name);
  }
  return rc;
}

static void closeFile(File *f){
  f->file->pMethods->xClose(f->file);
  free(f->file);
  sqlite3_free_filename((char*)f->name);
  if( f->database ){
    closeFile(f->database);
    free(f->database);
  }
}

/* The length of a name without its suffix, or 0 when it does not end in it. */
static size_t stem(const char *name, const char *suffix){
  size_t n = strlen(name), k = strlen(suffix);
  return n>k && strcmp(name+n-k, suffix)==0 ? n-k : 0;
}

static int openFile(sqlite3_vfs *v, const char *name, int write, File *f){
  size_t journal = stem(name, "-journal"), wal = stem(name, "-wal");
  int how = write ? (SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE) : SQLITE_OPEN_READWRITE;
  File *database;
  char *databaseName;
  int rc;
  if( journal==0 && wal==0 ) return openAs(v, name, how|SQLITE_OPEN_MAIN_DB, f);
  databaseName = calloc(1, strlen(name)+1);
  memcpy(databaseName, name, journal+wal);
  database = malloc(sizeof *database);
  rc = openAs(v, databaseName, how|SQLITE_OPEN_MAIN_DB, database);
  free(databaseName);
  if( rc==SQLITE_OK ){
    rc = openAs(v, name, how|(journal ? SQLITE_OPEN_MAIN_JOURNAL : SQLITE_OPEN_WAL), f);
    if( rc==SQLITE_OK ){
      f->database = database;
      return rc;
    }
    closeFile(database);
  }
  free(database);
  return rc;
}

/* The unix VFS takes at most 128 KiB in one call. */
enum { PIECE = 65536 };

static int readPieces(sqlite3_file *p, unsigned char *to, sqlite3_int64 n, sqlite3_int64 offset){
  sqlite3_int64 i;
  int rc = SQLITE_OK;
  for(i=0; i<n && rc==SQLITE_OK; i+=PIECE)
    rc = p->pMethods->xRead(p, to+i, (int)(n-i<PIECE ? n-i : PIECE), offset+i);
  return rc;
}

static int writePieces(sqlite3_file *p, const unsigned char *from, int n, sqlite3_int64 offset){
  int i, rc = SQLITE_OK;
  for(i=0; i<n && rc==SQLITE_OK; i+=PIECE)
    rc = p->pMethods->xWrite(p, from+i, n-i<PIECE ? n-i : PIECE, offset+i);
  return rc;
}

static int control(sqlite3_file *p, int op){
  int rc = p->pMethods->xFileControl(p, op, 0);
  return rc==SQLITE_NOTFOUND ? SQLITE_OK : rc;
}

/* In the order in which the pager commits: a VFS may count on it. Some tests write under an open reader: then without locks. */
static int writeDatabase(sqlite3_file *p, const unsigned char *from, int n, sqlite3_int64 offset){
  const sqlite3_io_methods *m = p->pMethods;
  int rc;
  if( m->xLock(p, SQLITE_LOCK_SHARED)==SQLITE_OK && m->xLock(p, SQLITE_LOCK_RESERVED)==SQLITE_OK )
    m->xLock(p, SQLITE_LOCK_EXCLUSIVE);
  rc = writePieces(p, from, n, offset);
  if( rc==SQLITE_OK ) rc = control(p, SQLITE_FCNTL_SYNC);
  if( rc==SQLITE_OK ) rc = m->xSync(p, SQLITE_SYNC_NORMAL);
  if( rc==SQLITE_OK ) rc = control(p, SQLITE_FCNTL_COMMIT_PHASETWO);
  m->xUnlock(p, SQLITE_LOCK_NONE);
  return rc;
}

static int readCommand(sqlite3_vfs *v, const char *name, Tcl_Interp *interp, sqlite3_int64 offset, sqlite3_int64 n){
  File f;
  sqlite3_int64 size = 0;
  int rc = openFile(v, name, 0, &f);
  if( rc ) return rc;
  rc = f.file->pMethods->xFileSize(f.file, &size);
  if( n<0 || offset+n>size ) n = offset<size ? size-offset : 0;
  if( rc==SQLITE_OK ){
    unsigned char *bytes = malloc(n+1);
    rc = readPieces(f.file, bytes, n, offset);
    if( rc==SQLITE_OK ) Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(bytes, (int)n));
    free(bytes);
  }
  closeFile(&f);
  return rc;
}

static int writeCommand(sqlite3_vfs *v, const char *name, Tcl_Interp *interp, sqlite3_int64 offset, Tcl_Obj *data){
  File f;
  int n, rc;
  const unsigned char *bytes = Tcl_GetByteArrayFromObj(data, &n);
  rc = openFile(v, name, 1, &f);
  if( rc ) return rc;
  if( f.database==0 ){
    rc = writeDatabase(f.file, bytes, n, offset);
  }else{
    rc = writePieces(f.file, bytes, n, offset);
    if( rc==SQLITE_OK ) rc = f.file->pMethods->xSync(f.file, SQLITE_SYNC_NORMAL);
  }
  closeFile(&f);
  Tcl_SetObjResult(interp, Tcl_NewIntObj(n));
  return rc;
}

static int sizeCommand(sqlite3_vfs *v, const char *name, Tcl_Interp *interp){
  File f;
  sqlite3_int64 size = 0;
  int rc = openFile(v, name, 0, &f);
  if( rc ) return rc;
  rc = f.file->pMethods->xFileSize(f.file, &size);
  closeFile(&f);
  Tcl_SetObjResult(interp, Tcl_NewWideIntObj(size));
  return rc;
}

static void listCommand(sqlite3_vfs *v, Tcl_Interp *interp){
  Tcl_Obj *list = Tcl_NewObj();
  int i, found;
  for(i=0; i<default_vfs_name_count(); i++){
    const char *name = default_vfs_name(i);
    if( v->xAccess(v, name, SQLITE_ACCESS_EXISTS, &found)==SQLITE_OK && found )
      Tcl_ListObjAppendElement(interp, list, Tcl_NewStringObj(name, -1));
  }
  Tcl_SetObjResult(interp, list);
}

/* The subcommands that name a file. */
static int fileCommand(sqlite3_vfs *v, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]){
  const char *what = Tcl_GetString(objv[1]), *name = Tcl_GetString(objv[2]);
  char *full = calloc(1, v->mxPathname+16);
  Tcl_WideInt offset = 0, n = 0;
  int found = 0, known = 1;
  int rc = v->xFullPathname(v, name, v->mxPathname+1, full);
  if( rc==SQLITE_OK_SYMLINK ) rc = SQLITE_OK;
  if( rc==SQLITE_OK ){
    if( objc>3 && Tcl_GetWideIntFromObj(interp, objv[3], &offset) ){ free(full); return TCL_ERROR; }
    if( strcmp(what, "exists")==0 ){
      rc = v->xAccess(v, full, SQLITE_ACCESS_EXISTS, &found);
      Tcl_SetObjResult(interp, Tcl_NewIntObj(rc==SQLITE_OK && found));
      rc = SQLITE_OK;
    }else if( strcmp(what, "delete")==0 ){
      rc = v->xDelete(v, full, 0);
      if( rc==SQLITE_IOERR_DELETE_NOENT ) rc = SQLITE_OK;
    }else if( strcmp(what, "size")==0 ){
      rc = sizeCommand(v, full, interp);
    }else if( strcmp(what, "read")==0 && objc==5 && Tcl_GetWideIntFromObj(interp, objv[4], &n)==TCL_OK ){
      rc = readCommand(v, full, interp, offset, n);
    }else if( strcmp(what, "write")==0 && objc==5 ){
      rc = writeCommand(v, full, interp, offset, objv[4]);
    }else{
      known = 0;
    }
  }
  free(full);
  if( known && rc==SQLITE_OK ) return TCL_OK;
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("vfsfs %s \"%s\": %s", what, name, known ? sqlite3_errstr(rc) : "no such subcommand"));
  return TCL_ERROR;
}

static int bridgeCommand(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]){
  const char *what = objc>1 ? Tcl_GetString(objv[1]) : "";
  sqlite3_vfs *v;
  (void)data;
  sqlite3_initialize();
  v = default_vfs ? default_vfs : sqlite3_vfs_find(0);
  if( strcmp(what, "active")==0 ){
    Tcl_SetObjResult(interp, Tcl_NewIntObj(default_vfs!=0));
    return TCL_OK;
  }
  if( strcmp(what, "list")==0 ){
    listCommand(v, interp);
    return TCL_OK;
  }
  if( objc<3 ){
    Tcl_WrongNumArgs(interp, 1, objv, "SUBCOMMAND FILE ...");
    return TCL_ERROR;
  }
  return fileCommand(v, interp, objc, objv);
}

int Filebridge_Init(Tcl_Interp *interp){
  Tcl_CreateObjCommand(interp, "vfsfs", bridgeCommand, 0, 0);
  return TCL_OK;
}

/* testfixture's own initialization (TCLSH_INIT_PROC), and a static package that any interpreter gets with
** `load {} Filebridge`. */
const char *bridgeTestInit(Tcl_Interp *interp){
  extern const char *sqlite3TestInit(Tcl_Interp*);
  const char *script = sqlite3TestInit(interp);
  Tcl_StaticPackage(interp, "Filebridge", Filebridge_Init, 0);
  Filebridge_Init(interp);
  return script;
}
