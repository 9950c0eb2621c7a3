using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Functions;

/// <summary>
/// The functions as SQLite calls them: eponymous virtual tables, which need no CREATE. They may not be used by views
/// and triggers, since they reach out of the database. What fails becomes SQLite's error, with its whole message.
/// </summary>
internal static unsafe class RowModule
{
    const int EqualOperator = 2, Constraint = 19, DirectOnly = 3;
    const double UsualCost = 1e6, NeverCost = 1e100;

    // The bits of an index: which arguments were given, and whether the column of touched tables is looked at.
    const int TablesBit = 1 << 16;
    const int TablesColumn = 6;

    static readonly NativeModule* module = Make();

    /// <summary>The methods, for hosts that register the functions themselves.</summary>
    public static NativeModule* Methods => module;

    static NativeModule* Make()
    {
        var made = (NativeModule*)NativeMemory.AllocZeroed((nuint)sizeof(NativeModule));
        made->Connect = &Connect;
        made->BestIndex = &BestIndex;
        made->Disconnect = &Disconnect;
        made->Open = &Open;
        made->Close = &Close;
        made->Filter = &Filter;
        made->Next = &Next;
        made->Eof = &Eof;
        made->Column = &Column;
        made->RowId = &RowId;
        return made;
    }

    /// <summary>Adds the functions to a connection.</summary>
    public static void Add(SqliteApi api, void* connection)
    {
        for (var i = 0; i < RowFunction.All.Length; i++)
            api.Functions.CreateModule(connection, RowFunction.All[i].Name, module, i);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Connect(void* connection, void* number, int count, byte** arguments, NativeTable** table, byte** error)
    {
        try
        {
            var (api, function) = (VfsEntryPoints.Api, RowFunction.All[(int)number]);
            var code = api.Functions.DeclareTable(connection, function.Declaration);
            if (code != Sqlite.Ok) return code;
            api.Functions.ConfigureTable(connection, DirectOnly);
            var made = (NativeTable*)NativeMemory.AllocZeroed((nuint)sizeof(NativeTable));
            made->Connection = connection;
            made->Function = (int)number;
            *table = made;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failures.Report(e, Sqlite.Error);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Disconnect(NativeTable* table)
    {
        // Frees, and cannot throw.
        NativeMemory.Free(table);
        return Sqlite.Ok;
    }

    /// <summary>Arguments are equations with hidden columns. Those that are needed must be there, and usable.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int BestIndex(NativeTable* table, NativeIndexInfo* info)
    {
        try
        {
            return Choose(table, info);
        }
        catch (Exception e)
        {
            return Failed(table, e);
        }
    }

    static int Choose(NativeTable* table, NativeIndexInfo* info)
    {
        var function = RowFunction.All[table->Function];
        var (given, unusable) = (0, 0);
        Span<int> terms = stackalloc int[function.ArgumentCount];
        for (var i = 0; i < info->ConstraintCount; i++)
        {
            var at = info->Constraints[i].Column - function.Columns.Length;
            if (at < 0 || at >= terms.Length || info->Constraints[i].Operator != EqualOperator) continue;
            if (info->Constraints[i].Usable == 0)
            {
                unusable |= 1 << at;
                continue;
            }
            given |= 1 << at;
            terms[at] = i;
        }
        if ((unusable & ~given) != 0) return Constraint;
        for (int at = 0, next = 0; at < terms.Length; at++)
            if ((given & 1 << at) != 0)
                info->Usages[terms[at]] = new NativeConstraintUsage { Argument = ++next, Omit = 1 };
        info->Index = given
            | (function.Columns.Length > TablesColumn
            && (info->ColumnsUsed & 1UL << TablesColumn) != 0 ? TablesBit : 0);
        info->Cost = (given & (1 << function.Required) - 1) == (1 << function.Required) - 1 ? UsualCost : NeverCost;
        return Sqlite.Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Open(NativeTable* table, NativeCursor** cursor)
    {
        try
        {
            *cursor = (NativeCursor*)NativeMemory.AllocZeroed((nuint)sizeof(NativeCursor));
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failed(table, e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Close(NativeCursor* cursor)
    {
        try
        {
            End(cursor);
        }
        catch (Exception e)
        {
            Failures.Report(e, Sqlite.Error);
        }
        NativeMemory.Free(cursor);
        return Sqlite.Ok;
    }

    static void End(NativeCursor* cursor)
    {
        if (cursor->Answer == 0) return;
        var handle = GCHandle.FromIntPtr(cursor->Answer);
        cursor->Answer = 0;
        using var answer = (RowAnswer)handle.Target!;
        handle.Free();
    }

    static RowAnswer Of(NativeCursor* cursor) => (RowAnswer)GCHandle.FromIntPtr(cursor->Answer).Target!;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Filter(NativeCursor* cursor, int index, byte* text, int count, void** values)
    {
        try
        {
            End(cursor);
            var function = RowFunction.All[cursor->Table->Function];
            var api = VfsEntryPoints.Api;
            var arguments = new object?[function.ArgumentCount];
            for (int at = 0, next = 0; at < arguments.Length; at++)
                if ((index & 1 << at) != 0) arguments[at] = api.Functions.ValueOf(values[next++]);
            for (var at = 0; at < function.Required; at++)
                if (arguments[at] is null)
                    throw new RecoveryException(RecoveryError.Invalid,
                        $"{function.Name} needs {function.Required} arguments: "
                            + $"{function.Name}({string.Join(", ", function.Arguments)}).");
            var schema = arguments[^1] as string ?? "main";
            var call = new FunctionCall(arguments[..^1], api.Functions.FileOf(cursor->Table->Connection, schema),
                (index & TablesBit) != 0);
            var answer = new RowAnswer(function.Run(call).GetEnumerator());
            cursor->Answer = GCHandle.ToIntPtr(GCHandle.Alloc(answer));
            answer.Next();
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failed(cursor->Table, e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Next(NativeCursor* cursor)
    {
        try
        {
            Of(cursor).Next();
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failed(cursor->Table, e);
        }
    }

    static int Failed(NativeTable* table, Exception e)
    {
        var known = e is AggregateException { InnerExceptions: [var only] } ? only : e;
        Failures.Report(known, Sqlite.Error);
        try
        {
            table->Error = VfsEntryPoints.Api.NewString(known.Message);
        }
        catch (OutOfMemoryException)
        {
            return Sqlite.NoMem;
        }
        return Sqlite.Error;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Eof(NativeCursor* cursor)
    {
        try
        {
            return cursor->Answer == 0 || Of(cursor).Row is null ? 1 : 0;
        }
        catch (Exception e)
        {
            // It has no error: there are no more rows, and why is in the log.
            Failures.Report(e, Sqlite.Error);
            return 1;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Column(NativeCursor* cursor, void* context, int column)
    {
        try
        {
            // Arguments, which are hidden columns, are not given back.
            if (Of(cursor).Row is { } row && column < row.Length)
                VfsEntryPoints.Api.Functions.Return(context, row[column]);
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failed(cursor->Table, e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int RowId(NativeCursor* cursor, long* rowId)
    {
        try
        {
            *rowId = Of(cursor).Number;
            return Sqlite.Ok;
        }
        catch (Exception e)
        {
            return Failed(cursor->Table, e);
        }
    }
}
