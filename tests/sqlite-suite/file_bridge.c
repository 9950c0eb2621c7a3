/* file_bridge.c - TCL commands that reach files through the default VFS, so that
** SQLite's tester.tcl can delete/copy/inspect databases a non-filesystem VFS
** holds. Only linked into testfixture. Without SQLITE_DEFAULT_VFS_SO the
** commands act on whatever VFS is default. */
#include "sqlite3.h"
#include <tcl.h>
#include <string.h>
#include <stdlib.h>

extern sqlite3_vfs *default_vfs;
extern int default_vfs_name_count(void);
extern const char *default_vfs_name(int);

static sqlite3_vfs *theVfs(void){
  return default_vfs ? default_vfs : sqlite3_vfs_find(0);
}
static int fail(Tcl_Interp *ip, const char *zOp, const char *zFile, int rc){
  Tcl_SetObjResult(ip, Tcl_ObjPrintf("%s \"%s\": %s", zOp, zFile, sqlite3_errstr(rc)));
  return TCL_ERROR;
}
static char *full(sqlite3_vfs *v, const char *z){
  char *b = calloc(1, v->mxPathname+16);
  if( v->xFullPathname(v, z, v->mxPathname+1, b) ) { free(b); return 0; }
  return b;
}
static int endsWith(const char *z, const char *s){
  size_t a=strlen(z), b=strlen(s); return a>=b && strcmp(z+a-b,s)==0;
}
static int openRaw(sqlite3_vfs *v, const char *zFull, int bWrite,
                   const char **pzFn, sqlite3_file **pp){
  int fl = endsWith(zFull,"-journal") ? SQLITE_OPEN_MAIN_JOURNAL :
           endsWith(zFull,"-wal") ? SQLITE_OPEN_WAL : SQLITE_OPEN_MAIN_DB;
  int rc, o = 0;
  sqlite3_file *p = calloc(1, v->szOsFile);
  const char *zFn = sqlite3_create_filename(zFull, "", "", 0, 0);
  fl |= bWrite ? (SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE) : SQLITE_OPEN_READONLY;
  rc = v->xOpen(v, zFn, p, fl, &o);
  if( rc ){
    if( p->pMethods ) p->pMethods->xClose(p);
    free(p); sqlite3_free_filename((char*)zFn);
    return rc;
  }
  *pp = p; *pzFn = zFn;
  return SQLITE_OK;
}
static void closeRaw(sqlite3_file *p, const char *zFn){
  p->pMethods->xClose(p); free(p); sqlite3_free_filename((char*)zFn);
}

/* vfsfs name|list|exists F|delete F|size F|read F OFF N|write F OFF BYTES|truncate F N */
static int vfsfs(ClientData cd, Tcl_Interp *ip, int objc, Tcl_Obj *const objv[]){
  sqlite3_vfs *v;
  const char *zSub, *zFile, *zFn = 0;
  char *zFull;
  sqlite3_file *p = 0;
  int rc = 0, res = 0, ret = TCL_OK;
  (void)cd;
  if( objc<2 ){ Tcl_WrongNumArgs(ip,1,objv,"SUBCMD ..."); return TCL_ERROR; }
  sqlite3_initialize();
  v = theVfs();
  zSub = Tcl_GetString(objv[1]);
  if( strcmp(zSub,"active")==0 ){
    Tcl_SetObjResult(ip, Tcl_NewIntObj(default_vfs!=0)); return TCL_OK;
  }
  if( v==0 ){ Tcl_SetResult(ip,"no vfs",TCL_STATIC); return TCL_ERROR; }
  if( strcmp(zSub,"name")==0 ){
    Tcl_SetObjResult(ip, Tcl_NewStringObj(v->zName,-1)); return TCL_OK;
  }
  if( strcmp(zSub,"list")==0 ){
    Tcl_Obj *l = Tcl_NewObj(); int i;
    for(i=0; i<default_vfs_name_count(); i++){
      res = 0;
      if( v->xAccess(v, default_vfs_name(i), SQLITE_ACCESS_EXISTS, &res)==0 && res )
        Tcl_ListObjAppendElement(ip, l, Tcl_NewStringObj(default_vfs_name(i),-1));
    }
    Tcl_SetObjResult(ip, l); return TCL_OK;
  }
  if( objc<3 ){ Tcl_WrongNumArgs(ip,1,objv,"SUBCMD FILE ..."); return TCL_ERROR; }
  zFile = Tcl_GetString(objv[2]);
  zFull = full(v, zFile);
  if( zFull==0 ) return fail(ip,"fullpathname",zFile,SQLITE_CANTOPEN);
  if( strcmp(zSub,"full")==0 ){
    Tcl_SetObjResult(ip, Tcl_NewStringObj(zFull,-1));
  }else if( strcmp(zSub,"exists")==0 ){
    rc = v->xAccess(v, zFull, SQLITE_ACCESS_EXISTS, &res);
    Tcl_SetObjResult(ip, Tcl_NewIntObj(rc==0 && res));
  }else if( strcmp(zSub,"delete")==0 ){
    rc = v->xDelete(v, zFull, 0);
    if( rc && rc!=SQLITE_IOERR_DELETE_NOENT ) ret = fail(ip,"delete",zFile,rc);
  }else if( strcmp(zSub,"size")==0 ){
    sqlite3_int64 n = 0;
    rc = openRaw(v, zFull, 0, &zFn, &p);
    if( rc==0 ){ rc = p->pMethods->xFileSize(p,&n); closeRaw(p,zFn); }
    if( rc ) ret = fail(ip,"size",zFile,rc);
    else Tcl_SetObjResult(ip, Tcl_NewWideIntObj(n));
  }else if( strcmp(zSub,"read")==0 && objc==5 ){
    Tcl_WideInt off; int n; sqlite3_int64 sz = 0;
    if( Tcl_GetWideIntFromObj(ip,objv[3],&off) || Tcl_GetIntFromObj(ip,objv[4],&n) ) ret = TCL_ERROR;
    else if( (rc = openRaw(v,zFull,0,&zFn,&p))!=0 ) ret = fail(ip,"open",zFile,rc);
    else{
      unsigned char *a;
      p->pMethods->xFileSize(p,&sz);
      if( n<0 || off+n>sz ) n = off<sz ? (int)(sz-off) : 0;
      a = malloc(n+1);
      rc = n ? p->pMethods->xRead(p,a,n,off) : 0;
      closeRaw(p,zFn);
      if( rc ) ret = fail(ip,"read",zFile,rc);
      else Tcl_SetObjResult(ip, Tcl_NewByteArrayObj(a,n));
      free(a);
    }
  }else if( strcmp(zSub,"write")==0 && objc==5 ){
    Tcl_WideInt off; int n; unsigned char *a = Tcl_GetByteArrayFromObj(objv[4],&n);
    if( Tcl_GetWideIntFromObj(ip,objv[3],&off) ) ret = TCL_ERROR;
    else if( (rc = openRaw(v,zFull,1,&zFn,&p))!=0 ) ret = fail(ip,"open",zFile,rc);
    else{
      /* Hold the lock sequence a writer holds: a VFS may insist on it. */
      int bDb = !endsWith(zFull,"-journal") && !endsWith(zFull,"-wal");
      int locked = 0;
      if( bDb ){
        if( p->pMethods->xLock(p,SQLITE_LOCK_SHARED)==0 ){
          locked = p->pMethods->xLock(p,SQLITE_LOCK_RESERVED)==0
                && p->pMethods->xLock(p,SQLITE_LOCK_EXCLUSIVE)==0;
        }
      }
      (void)locked;   /* best effort: some tests write under an open reader */
      if( n ) rc = p->pMethods->xWrite(p,a,n,off);
      if( rc==0 ) p->pMethods->xSync(p,SQLITE_SYNC_NORMAL);
      if( bDb ) p->pMethods->xUnlock(p,SQLITE_LOCK_NONE);
      closeRaw(p,zFn);
      if( rc ) ret = fail(ip,"write",zFile,rc);
      else Tcl_SetObjResult(ip, Tcl_NewIntObj(n));
    }
  }else if( strcmp(zSub,"truncate")==0 && objc==4 ){
    Tcl_WideInt n;
    if( Tcl_GetWideIntFromObj(ip,objv[3],&n) ) ret = TCL_ERROR;
    else if( (rc = openRaw(v,zFull,1,&zFn,&p))!=0 ) ret = fail(ip,"open",zFile,rc);
    else{
      rc = p->pMethods->xTruncate(p,n); closeRaw(p,zFn);
      if( rc ) ret = fail(ip,"truncate",zFile,rc);
    }
  }else{
    Tcl_SetResult(ip,"bad vfsfs subcommand",TCL_STATIC); ret = TCL_ERROR;
  }
  free(zFull);
  return ret;
}

int Filebridge_Init(Tcl_Interp *ip){
  Tcl_CreateObjCommand(ip, "vfsfs", vfsfs, 0, 0);
  return TCL_OK;
}
/* TCLSH_INIT_PROC for testfixture: the original plus a static package that any
** interpreter gets with:  load {} Filebridge  */
const char *bridgeTestInit(Tcl_Interp *ip){
  extern const char *sqlite3TestInit(Tcl_Interp*);
  const char *z = sqlite3TestInit(ip);
  Tcl_StaticPackage(ip, "Filebridge", Filebridge_Init, 0);
  Filebridge_Init(ip);
  return z;
}
