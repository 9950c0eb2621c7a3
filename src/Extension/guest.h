/* What a library that holds .NET, compiled ahead of time, owes the process that loads it: the runtime starts when it
** is used first, and leaves alone what it does not need. */
#ifndef RECOVERY_GUEST_H
#define RECOVERY_GUEST_H
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

/* .NET ends the process when it needs OpenSSL and finds none, which a host must not suffer. What is found here stays
** loaded, since it will be needed. */
static int hasOpenSsl(void){
  static const char *const names[] = { "libssl.so.3", "libssl.so.1.1" };
  size_t i;
  if( getenv("CLR_OPENSSL_VERSION_OVERRIDE") ) return 1;
  for(i=0; i<sizeof(names)/sizeof(names[0]); i++) if( dlopen(names[i], RTLD_LAZY | RTLD_LOCAL) ) return 1;
  return 0;
}

/* The process's signal dispositions, before the runtime starts. */
struct signals { struct sigaction before[NSIG]; int known[NSIG]; };

static void noteSignals(struct signals *signals){
  int i;
  for(i=1; i<NSIG; i++) signals->known[i] = sigaction(i, 0, &signals->before[i])==0;
}

/* The runtime catches SIGSEGV and SIGFPE (passing on what is not its own) and SIGRTMIN. What else it changed is put
** back: it ignores SIGPIPE, which would change what `program | head` does. */
static void putSignalsBack(const struct signals *signals){
  struct sigaction now;
  int i;
  for(i=1; i<NSIG; i++){
    if( !signals->known[i] || i==SIGSEGV || i==SIGFPE || i==SIGRTMIN ) continue;
    if( sigaction(i, 0, &now)!=0 || now.sa_handler==signals->before[i].sa_handler ) continue;
    sigaction(i, &signals->before[i], 0);
  }
}
#endif
