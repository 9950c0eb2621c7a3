/* What a C++ program links: a thin face in C before the .NET library, whose runtime starts when the first environment
** is opened. native/recovery_rocksdb.h has the contracts. The other functions need an environment, and are in
** Exports.cs. */
#include "../Extension/guest.h"
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* Exports.cs */
int32_t recovery_env_open(const void *options, void **env, char **message);

#define PUBLIC __attribute__((visibility("default")))
enum { IO = 5 };

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static int started;

PUBLIC int32_t recovery_rocksdb_open(const void *options, void **env, char **message){
  int32_t code;
  pthread_mutex_lock(&starting);
  if( !started && !hasOpenSsl() ){
    pthread_mutex_unlock(&starting);
    *message = strdup("OpenSSL is missing: libssl.so.3 was not found. Install it (on Debian: apt install libssl3).");
    return IO;
  }
  if( started ){
    pthread_mutex_unlock(&starting);
    return recovery_env_open(options, env, message);
  }
  struct signals signals;
  noteSignals(&signals);
  code = recovery_env_open(options, env, message);
  putSignalsBack(&signals);
  started = 1;
  pthread_mutex_unlock(&starting);
  return code;
}

PUBLIC void recovery_rocksdb_free(char *message){ free(message); }
