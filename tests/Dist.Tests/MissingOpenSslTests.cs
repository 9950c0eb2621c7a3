namespace RecoveryVfs.Dist.Tests;

/// <summary>A machine without OpenSSL, as a slim image is one: .NET would end its host.</summary>
public sealed class MissingOpenSslTests
{
    const string NoOpenSsl = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <string.h>
        void *dlopen(const char *name, int flags) {
          if (name && strncmp(name, "libssl.so", 9) == 0) return 0;
          return ((void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen"))(name, flags);
        }
        """;

    [Fact]
    public void The_host_lives_and_is_told_what_to_install()
    {
        using var store = new StoreDirectory();
        var (source, library) = (Path.Combine(store.Path, "no.c"), Path.Combine(store.Path, "no.so"));
        File.WriteAllText(source, NoOpenSsl);
        Command.Run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source).MustSucceed();
        var outcome = Command.RunWith(new() { ["LD_PRELOAD"] = library }, "/usr/bin/python3", "-c", $"""
            import sqlite3
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            try:
                sqlite3.connect('{store.Uri}', uri=True).execute('CREATE TABLE t(x)')
            except sqlite3.OperationalError as refused:
                print(refused)
            print(loader.execute('SELECT recovery_last_error()').fetchone()[0])
            """).MustSucceed();
        Assert.Equal("unable to open database file", outcome.Lines[0]);
        Assert.Contains("apt install libssl3", outcome.Lines[1]);
        Assert.False(File.Exists(Path.Combine(store.Path, "app.db")));
    }
}
