namespace RecoveryVfs.Rows;

/// <summary>How a database stores its texts.</summary>
public enum TextEncoding
{
    /// <summary>UTF-8.</summary>
    Utf8 = 1,

    /// <summary>UTF-16, the low byte first.</summary>
    Utf16LittleEndian = 2,

    /// <summary>UTF-16, the high byte first.</summary>
    Utf16BigEndian = 3,
}
