using System.Runtime.InteropServices;

namespace RecoveryVfs.Functions;

/// <summary>SQLite's <c>sqlite3_module</c>, version 0: what a table-valued function needs of it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeModule
{
    public int Version;
    public void* Create;
    public delegate* unmanaged[Cdecl]<void*, void*, int, byte**, NativeTable**, byte**, int> Connect;
    public delegate* unmanaged[Cdecl]<NativeTable*, NativeIndexInfo*, int> BestIndex;
    public delegate* unmanaged[Cdecl]<NativeTable*, int> Disconnect;
    public void* Destroy;
    public delegate* unmanaged[Cdecl]<NativeTable*, NativeCursor**, int> Open;
    public delegate* unmanaged[Cdecl]<NativeCursor*, int> Close;
    public delegate* unmanaged[Cdecl]<NativeCursor*, int, byte*, int, void**, int> Filter;
    public delegate* unmanaged[Cdecl]<NativeCursor*, int> Next;
    public delegate* unmanaged[Cdecl]<NativeCursor*, int> Eof;
    public delegate* unmanaged[Cdecl]<NativeCursor*, void*, int, int> Column;
    public delegate* unmanaged[Cdecl]<NativeCursor*, long*, int> RowId;
    public void* Update, Begin, Sync, Commit, Rollback, FindFunction, Rename;
}

/// <summary>SQLite's <c>sqlite3_vtab</c> with what we keep behind it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeTable
{
    public NativeModule* Module;
    public int References;
    /// <summary>Freed by SQLite.</summary>
    public byte* Error;
    /// <summary>The connection.</summary>
    public void* Connection;
    /// <summary>Which function it is.</summary>
    public int Function;
}

/// <summary>SQLite's <c>sqlite3_vtab_cursor</c> with what we keep behind it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeCursor
{
    public NativeTable* Table;
    /// <summary>A GCHandle to the <see cref="RowAnswer"/>; none before the first xFilter.</summary>
    public nint Answer;
}

/// <summary>SQLite's <c>sqlite3_index_info</c>, as far as it is of use.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeIndexInfo
{
    public int ConstraintCount;
    public NativeConstraint* Constraints;
    public int OrderCount;
    public void* Orders;
    public NativeConstraintUsage* Usages;
    public int Index;
    public byte* Text;
    public int FreesText;
    public int OrderConsumed;
    public double Cost;
    public long Rows;
    public int Flags;
    public ulong ColumnsUsed;
}

[StructLayout(LayoutKind.Sequential)]
internal struct NativeConstraint
{
    public int Column;
    public byte Operator, Usable;
    public int TermOffset;
}

[StructLayout(LayoutKind.Sequential)]
internal struct NativeConstraintUsage
{
    public int Argument;
    public byte Omit;
}
