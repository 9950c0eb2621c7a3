using System.Globalization;
using System.Text.RegularExpressions;

namespace RecoveryVfs.RecoveryLog;

/// <summary>
/// Times as people write and read them, the same for every option that takes one: RFC 3339, local time, <c>now</c>,
/// <c>-5m</c>, <c>5 minutes ago</c>,
/// <c>+7d</c>, <c>14:03</c>, <c>yesterday 14:00</c>. A time without a zone is local; what is shown always names its
/// zone.
/// </summary>
internal static partial class TimeText
{
    /// <summary>A record's time; what no calendar has becomes the nearest that one does.</summary>
    public static DateTimeOffset FromMs(long unixTimeMs) =>
        DateTimeOffset.FromUnixTimeMilliseconds(
            Math.Clamp(unixTimeMs, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));

    /// <summary>For messages and help: what can be written.</summary>
    public const string Forms = Example
        + ", '2026-01-31 15:04' (local), 14:03, 'yesterday 14:00', -5m, '5 minutes ago' or now";

    const string Example = "2026-01-31T15:04:05Z";

    static readonly TimeSpan LongestSpan = TimeSpan.FromDays(36500);

    /// <summary>Reads a point in time. Throws Invalid with what to write instead.</summary>
    public static DateTimeOffset Parse(string text, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var now = time.GetUtcNow();
        var words = Spaces().Replace(text.Trim(), " ").ToLowerInvariant();
        if (words == "now") return now;
        if (TryRelative(words, now) is { } relative) return relative;
        if (Rfc3339().Match(words) is { Success: true } exact
            && DateTimeOffset.TryParse($"{words[..10]}T{exact.Groups[1].ValueSpan}{exact.Groups[2].ValueSpan}",
            CultureInfo.InvariantCulture, DateTimeStyles.None, out var instant))
            return instant.ToUniversalTime();
        var zone = time.LocalTimeZone;
        if (TryLocal(words, TimeZoneInfo.ConvertTime(now, zone).Date) is { } local) return InZone(text, local, zone);
        throw new RecoveryException(RecoveryError.Invalid, $"'{text}' is not a time.", $"Write it as {Forms}.");
    }

    /// <summary>
    /// Reads a length of time: <c>90s</c>, <c>200ms</c>, <c>15m</c>, <c>12h</c>, <c>7d</c>, <c>2w</c>, <c>1h30m</c>,
    /// <c>5 minutes</c>.
    /// </summary>
    public static TimeSpan ParseDuration(string text) => TryParseDuration(text)
        ?? throw new RecoveryException(RecoveryError.Invalid,
            $"'{text}' is not a length of time.",
            "Write it as 90s, 15m, 12h, 7d or '5 minutes'.");

    /// <summary>The same; null when it is none.</summary>
    public static TimeSpan? TryParseDuration(string text)
        => TrySpan(Spaces().Replace(text.Trim(), " ").ToLowerInvariant());

    /// <summary>
    /// A time with its zone, in local time: <c>2026-01-31 16:04:05.123+01:00</c>, or with <c>Z</c> where that is UTC.
    /// </summary>
    public static string Show(DateTimeOffset time, TimeZoneInfo? zone = null)
    {
        var local = TimeZoneInfo.ConvertTime(time, zone ?? TimeZoneInfo.Local);
        return local.ToString(local.Offset == TimeSpan.Zero
            ? "yyyy-MM-dd HH:mm:ss.fff'Z'"
            : "yyyy-MM-dd HH:mm:ss.fffzzz", CultureInfo.InvariantCulture);
    }

    static DateTimeOffset? TryRelative(string words, DateTimeOffset now)
    {
        var (sign, span) = words switch
        {
            ['-', .. var ago] => (-1, TrySpan(ago.Trim())),
            ['+', .. var ahead] => (1, TrySpan(ahead.Trim())),
            _ when words.EndsWith(" ago", StringComparison.Ordinal) => (-1, TrySpan(words[..^4])),
            _ when words.StartsWith("in ", StringComparison.Ordinal) => (1, TrySpan(words[3..])),
            _ => (0, null),
        };
        return span is { } length ? now + sign * length : null;
    }

    static TimeSpan? TrySpan(string words)
    {
        if (!Span().IsMatch(words)) return null;
        var total = 0.0;
        foreach (Match part in SpanPart().Matches(words))
        {
            var number = part.Groups[1].Value is "a" or "an"
                ? 1
                : double.Parse(part.Groups[1].Value, CultureInfo.InvariantCulture);
            total += number * SecondsOf(part.Groups[2].Value);
        }
        return total <= LongestSpan.TotalSeconds ? TimeSpan.FromMilliseconds(Math.Round(total * 1000)) : null;
    }

    static double SecondsOf(string unit) => unit switch
    {
        "ms" => 0.001,
        ['s', ..] => 1,
        "m" or ['m', 'i', ..] => 60,
        ['h', ..] => 3600,
        ['d', ..] => 86400,
        _ => 7 * 86400,
    };

    /// <summary>A day, a time of day, or both, without a zone.</summary>
    static DateTime? TryLocal(string words, DateTime today)
    {
        var (day, clock) = words.Replace('t', ' ') is var spaced && Day().IsMatch(spaced)
            ? Parted(spaced)
            : Parted(words);
        DateTime? date = day switch
        {
            "today" or "" => today,
            "yesterday" => today.AddDays(-1),
            "tomorrow" => today.AddDays(1),
            _ => DateTime.TryParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None,
                out var named) ? named : null,
        };
        if (clock.Length == 0) return day.Length == 0 ? null : date;
        return date is { } at && Clock().IsMatch(clock)
            && TimeSpan.TryParse(clock, CultureInfo.InvariantCulture, out var within) && within < TimeSpan.FromDays(1)
            ? at + within
            : null;
    }

    static (string Day, string Clock) Parted(string words)
    {
        var space = words.IndexOf(' ');
        if (space >= 0) return (words[..space], words[(space + 1)..]);
        return words.Contains(':') ? ("", words) : (words, "");
    }

    /// <summary>Where clocks are put forward or back, some local times do not exist and some are two.</summary>
    static DateTimeOffset InZone(string text, DateTime local, TimeZoneInfo zone)
    {
        if (zone.IsInvalidTime(local))
            throw new RecoveryException(RecoveryError.Invalid,
                $"There was no '{text}' in {zone.Id}: the clocks were put forward then.",
                $"Write the time with its offset, as {Example}.");
        if (!zone.IsAmbiguousTime(local)) return new DateTimeOffset(local, zone.GetUtcOffset(local)).ToUniversalTime();
        var both = zone.GetAmbiguousTimeOffsets(local).OrderDescending()
            .Select(o => Show(new DateTimeOffset(local, o), zone).Replace(' ', 'T'));
        throw new RecoveryException(RecoveryError.Invalid,
            $"There were two '{text}' in {zone.Id}: the clocks were put back then.",
            $"Write {string.Join(" or ", both)}.");
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\d[t ](\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?) ?(z|[+-]\d\d:?\d\d)$")]
    private static partial Regex Rfc3339();

    const string Unit = @"(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)";

    [GeneratedRegex($@"^((\d+(\.\d+)?|\.\d+|an?(?= )) ?{Unit}( |$|(?=\d)))+$")]
    private static partial Regex Span();

    [GeneratedRegex($@"(\d+(?:\.\d+)?|\.\d+|an?(?= )) ?{Unit}")]
    private static partial Regex SpanPart();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\d ")]
    private static partial Regex Day();

    [GeneratedRegex(@"^\d{1,2}:\d\d(:\d\d(\.\d{1,7})?)?$")]
    private static partial Regex Clock();
}
