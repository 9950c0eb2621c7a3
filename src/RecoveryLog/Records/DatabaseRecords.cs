using System.Buffers.Binary;

namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>
/// The bodies of Database* records, little-endian: the database's id u32, and its name where there is one.
/// </summary>
internal static class DatabaseRecords
{
    /// <summary>DatabaseCreated, DatabaseRenamed: id u32, name.</summary>
    public static byte[] Named(uint id, string name)
    {
        DatabaseName.Check(name);
        var body = FileRecords.WithName(4, name);
        BinaryPrimitives.WriteUInt32LittleEndian(body, id);
        return body;
    }

    /// <summary>Reads <see cref="Named"/>.</summary>
    public static (uint Id, string Name) ReadNamed(ReadOnlySpan<byte> body)
    {
        if (body.Length is < 5 or > 4 + FileRecords.MaxNameBytes)
            throw FileRecords.Damaged("Database", $"has a body of {body.Length} bytes");
        var name = FileRecords.ReadName(body[4..], "Database");
        if (DatabaseName.NotAPart(name) is { } problem)
            throw FileRecords.Damaged("Database", $"names a database \"{DatabaseName.Shown(name)}\", which {problem}");
        return (ReadId(body), name);
    }

    /// <summary>DatabaseDeleted: id u32.</summary>
    public static byte[] Id(uint id)
    {
        var body = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(body, id);
        return body;
    }

    /// <summary>The id that any of them starts with.</summary>
    public static uint ReadId(ReadOnlySpan<byte> body)
    {
        if (body.Length < 4) throw FileRecords.Damaged("Database", $"has a body of {body.Length} bytes");
        return BinaryPrimitives.ReadUInt32LittleEndian(body);
    }
}
