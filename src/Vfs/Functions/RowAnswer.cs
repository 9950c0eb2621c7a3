namespace RecoveryVfs.Functions;

/// <summary>The rows that a call gives, one at hand.</summary>
internal sealed class RowAnswer(IEnumerator<object?[]> rows) : IDisposable
{
    public long Number { get; private set; }

    /// <summary>The row at hand; null after the last.</summary>
    public object?[]? Row { get; private set; }

    public void Next()
    {
        Row = rows.MoveNext() ? rows.Current : null;
        Number++;
    }

    public void Dispose() => rows.Dispose();
}
