using System.Globalization;

namespace RecoveryVfs;

/// <summary>What a failure said, and when. Each is one of its own, also when it says what another said.</summary>
internal sealed class ReportedFailure(string message, DateTimeOffset at)
{
    public string Message { get; } = message;

    public DateTimeOffset At { get; } = at;

    /// <summary>With the time as the lines of <c>RECOVERY_LOG</c> have it.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Message} (at {At.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fff}Z)");
}
