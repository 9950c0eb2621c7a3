using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.Handles;
using RecoveryVfs.Names;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Interop;

/// <summary>
/// What SQLite calls on the VFS itself: opening, deleting and looking for files. Files that are none of a store's
/// (temporary ones, and ordinary ones that happen to be asked about) go to the operating system's VFS unchanged.
/// </summary>
internal static unsafe class VfsEntryPoints
{
    static NativeVfs* registered;
    static NativeVfs* system;
    static SqliteApi? host;

    /// <summary>The SQLite that we are registered with.</summary>
    public static SqliteApi Api
        => host ?? throw new InvalidOperationException("The VFS 'recovery' is registered with no SQLite.");

    /// <summary>The name of the VFS that plain files go to.</summary>
    public static string SystemName => Marshal.PtrToStringUTF8((nint)system->Name)!;

    /// <summary>The VFS by which plain databases of others are opened, registered when it is needed first.</summary>
    public static string PlainName
    {
        get
        {
            _ = Api.RegisterVfs(PlainVfs.Over(system), makeDefault: false);
            return PlainVfs.Name;
        }
    }

    /// <summary>Whether <see cref="Register"/> succeeded.</summary>
    public static bool IsRegistered => registered != null;

    /// <summary>
    /// Registers the VFS with one SQLite, once in a process; again, it may only become the default. Throws when this
    /// process has it registered with another copy of SQLite: the two would not see each other's locks.
    /// </summary>
    public static void Register(SqliteApi api, bool makeDefault)
    {
        if (api.RegisterVfs(Prepare(api), makeDefault) != Sqlite.Ok)
            throw new RecoveryException(RecoveryError.Invalid, "SQLite refused to register the VFS 'recovery'.");
    }

    /// <summary>The VFS for one SQLite, made once, for who registers it (or a face of it) there.</summary>
    public static NativeVfs* Prepare(SqliteApi api)
    {
        if (api.Unfit is { } reason) throw new RecoveryException(RecoveryError.Invalid, reason);
        if (registered != null && !api.IsSameSqliteAs(Api))
            throw new RecoveryException(RecoveryError.Invalid,
                "RecoveryVfs is registered with another copy of SQLite in this process already.",
                "Use one SQLite for all databases.");
        if (registered == null)
        {
            host = api;
            HostSqlite.Met(api.Version, api.Log);
            system = Present(api.FindVfs("unix"), api.FindVfs("win32"), api.FindVfs(null));
            ForkGuard.Arm();
            registered = Create();
            HostSqlite.ReadBeginning = ReadBeginning;
        }
        return registered;
    }

    static int? ReadBeginning(string path, byte[] into)
    {
        // A name that SQLite might look into for a URI's parameters has zeros before and after it.
        var name = new byte[System.Text.Encoding.UTF8.GetMaxByteCount(path.Length) + 8];
        System.Text.Encoding.UTF8.GetBytes(path, name.AsSpan(4));
        var file = (NativeFile*)NativeMemory.AllocZeroed((nuint)system->FileSizeBytes);
        try
        {
            fixed (byte* bytes = name, buffer = into)
            {
                if (system->Open(system, bytes + 4, file, Sqlite.OpenReadOnly | Sqlite.OpenMainDb, null) != Sqlite.Ok)
                    return null;
                try
                {
                    long size;
                    if (file->Methods->FileSize(file, &size) != Sqlite.Ok) return null;
                    var count = (int)Math.Min(size, into.Length);
                    return count == 0 || file->Methods->Read(file, buffer, count, 0) == Sqlite.Ok ? count : null;
                }
                finally
                {
                    file->Methods->Close(file);
                }
            }
        }
        finally
        {
            NativeMemory.Free(file);
        }
    }

    static NativeVfs* Present(NativeVfs* first, NativeVfs* second, NativeVfs* third) =>
        first != null ? first : second != null ? second : third;

    static NativeVfs* Create()
    {
        // Never freed: SQLite keeps the pointer for as long as the process lives.
        var vfs = (NativeVfs*)NativeMemory.AllocZeroed((nuint)sizeof(NativeVfs));
        var name = (byte*)NativeMemory.AllocZeroed(16);
        "recovery"u8.CopyTo(new Span<byte>(name, 16));
        vfs->Version = 2;
        vfs->FileSizeBytes = Math.Max(system->FileSizeBytes, sizeof(NativeFile));
        vfs->PathnameMax = system->PathnameMax;
        vfs->Name = name;
        vfs->AppData = system->AppData;
        vfs->Open = &Open;
        vfs->Delete = &Delete;
        vfs->Access = &Access;
        vfs->FullPathname = &FullPathname;
        vfs->GetLastError = &GetLastError;
        vfs->DlOpen = system->DlOpen;
        vfs->DlError = system->DlError;
        vfs->DlSym = system->DlSym;
        vfs->DlClose = system->DlClose;
        vfs->Randomness = system->Randomness;
        vfs->Sleep = &Sleep;
        vfs->CurrentTime = system->CurrentTime;
        vfs->CurrentTimeInt64 = system->CurrentTimeInt64;
        return vfs;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Open(NativeVfs* vfs, byte* name, NativeFile* file, int flags, int* outFlags)
    {
        file->Methods = null;
        try
        {
            if (ForkGuard.IsChild) return Failures.Report(Sqlite.CantOpen, ForkGuard.Message);
            const int ours = Sqlite.OpenMainDb | Sqlite.OpenMainJournal | Sqlite.OpenSuperJournal | Sqlite.OpenWal;
            if (name == null || (flags & ours) == 0) return system->Open(system, name, file, flags, outFlags);
            var path = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name);
            var isMain = (flags & Sqlite.OpenMainDb) != 0;
            var parameters = isMain ? Parameters(name) : OpenParameters.None;
            if (isMain ? IsDefaultOnly(parameters) && PlainDatabases.Takes(path) : PlainDatabases.OwnsCompanion(path))
                return system->Open(system, name, file, flags, outFlags);
            var opened = isMain ? Files.OpenMain(path, ref flags, parameters) : Files.OpenCompanion(path, flags);
            if (opened is null) return Sqlite.CantOpen;
            file->Handle = GCHandle.ToIntPtr(GCHandle.Alloc(opened));
            file->Methods = FileEntryPoints.Methods;
            if (outFlags != null) *outFlags = flags;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failures.ReportOpening(e);
        }
    }

    /// <summary>
    /// Whether a database comes here because this is the default VFS, and not because anybody named it.
    /// </summary>
    static bool IsDefaultOnly(OpenParameters parameters) =>
        parameters.Values.Count == 0 && !parameters.NamesVfs
            && new ReadOnlySpan<byte>(Api.FindVfs(null)->Name, 9).SequenceEqual("recovery\0"u8);

    static OpenParameters Parameters(byte* name)
    {
        if (!Api.HasParameters(name)) return OpenParameters.None;
        var all = Api.Parameters(name);
        StoreSettings.RequireAllowed(all);
        return new OpenParameters
        {
            NamesVfs = all.Any(p => p.Key == "vfs"),
            Values = [.. all.Where(p => Options.Names.Contains(p.Key))],
            PowersafeOverwrite = Api.Flag(name, "psow", true),
            NoLock = Api.Flag(name, "nolock", false),
            Immutable = Api.Flag(name, "immutable", false),
        };
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Delete(NativeVfs* vfs, byte* name, int syncDirectory)
    {
        try
        {
            if (ForkGuard.IsChild) return Failures.Report(Sqlite.IoErrDelete, ForkGuard.Message);
            var path = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name);
            return Files.Delete(path, syncDirectory != 0) ?? SystemDelete(name, syncDirectory);
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrDelete);
        }
    }

    static int SystemDelete(byte* name, int syncDirectory) => system->Delete(system, name, syncDirectory);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Access(NativeVfs* vfs, byte* name, int flags, int* result)
    {
        try
        {
            if (ForkGuard.IsChild) return Failures.Report(Sqlite.IoErrAccess, ForkGuard.Message);
            if (Files.Exists(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)) is not { } exists)
                return system->Access(system, name, flags, result);
            *result = exists ? 1 : 0;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.IoErrAccess);
        }
    }

    /// <summary>A path as SQLite gives it to xOpen: absolute, with its links followed.</summary>
    public static string FullPath(string path)
    {
        var result = new byte[system->PathnameMax + 1];
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(path + '\0'), buffer = result)
        {
            // SQLITE_OK_SYMLINK is well, too.
            if ((system->FullPathname(system, name, result.Length, buffer) & 0xff) != Sqlite.Ok) return path;
        }
        return System.Text.Encoding.UTF8.GetString(result.AsSpan(0, result.AsSpan().IndexOf((byte)0)));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int FullPathname(NativeVfs* vfs, byte* name, int size, byte* result)
        => system->FullPathname(system, name, size, result);

    /// <summary>
    /// A busy handler waits. As the default VFS this is what sqlite3_sleep calls, too: whoever sleeps there need not
    /// wait for anything.
    /// </summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Sleep(NativeVfs* vfs, int microseconds)
    {
        try
        {
            if (!ForkGuard.IsChild && Api.FindVfs(null) != registered && MainFile.TrySleepInLine(microseconds))
                return microseconds;
        }
        catch (Exception e)
        {
            Failures.Report(e, Sqlite.IoErr);
        }
        return system->Sleep(system, microseconds);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int GetLastError(NativeVfs* vfs, int size, byte* buffer)
    {
        try
        {
            if (size > 0 && buffer != null) Failures.CopyLast(new Span<byte>(buffer, size));
            return Failures.LastErrno;
        }
        catch (Exception)
        {
            // There is no memory for the text, and to report that would want more.
            return 0;
        }
    }
}
