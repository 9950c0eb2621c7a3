using Microsoft.Extensions.Logging;
using RecoveryVfs.PageStore.Follow;

namespace RecoveryVfs.Hosting;

/// <summary>
/// What is written into a host's log. Event ids never change their meaning: 1 to 19 are of stores, 20 on of followers.
/// </summary>
internal static partial class HostLog
{
    [LoggerMessage(1, LogLevel.Error, "{Event}: {Message}")]
    public static partial void StoreFailed(ILogger log, string @event, string message);

    [LoggerMessage(2, LogLevel.Warning, "{Event}: {Message}")]
    public static partial void StoreTroubled(ILogger log, string @event, string message);

    [LoggerMessage(3, LogLevel.Information, "{Event}: {Message}")]
    public static partial void StoreTold(ILogger log, string @event, string message);

    [LoggerMessage(4, LogLevel.Information, "The VFS recovery is registered")]
    public static partial void Registered(ILogger log);

    [LoggerMessage(20, LogLevel.Information, "Following {Url} in {Directory}, at LSN {Lsn}")]
    public static partial void Following(ILogger log, string url, string directory, ulong lsn);

    [LoggerMessage(21, LogLevel.Warning,
        "{Url} cannot be followed ({Phase}): {Message} At LSN {Lsn}, {Lag} behind at most")]
    public static partial void NotFollowing(ILogger log, Exception? error, string url, FollowerPhase phase,
        string? message, ulong lsn, TimeSpan lag);

    [LoggerMessage(22, LogLevel.Warning, "Following {Url} cannot begin yet: {Message}")]
    public static partial void CannotBegin(ILogger log, Exception error, string url, string message);

    [LoggerMessage(23, LogLevel.Error, "The follower of {Url} in {Directory} gave up: {Message}")]
    public static partial void GaveUp(ILogger log, Exception error, string url, string directory, string message);
}
