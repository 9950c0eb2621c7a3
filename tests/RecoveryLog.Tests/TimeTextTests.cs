using System.Globalization;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>One way to write a time, and one to show it.</summary>
public sealed class TimeTextTests
{
    /// <summary>Noon of a summer day, 14:00 in Berlin.</summary>
    static readonly DateTimeOffset Now = new(2026, 7, 15, 12, 0, 0, TimeSpan.Zero);

    sealed class Clock(string zone) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => Now;

        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.FindSystemTimeZoneById(zone);
    }

    static string Parse(string text, string zone = "Europe/Berlin")
        => TimeText.Parse(text, new Clock(zone)).ToString("yyyy-MM-ddTHH:mm:ss.FFFK", CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("now", "2026-07-15T12:00:00+00:00")]
    [InlineData("  NOW ", "2026-07-15T12:00:00+00:00")]
    [InlineData("-5m", "2026-07-15T11:55:00+00:00")]
    [InlineData("5 minutes ago", "2026-07-15T11:55:00+00:00")]
    [InlineData("an hour ago", "2026-07-15T11:00:00+00:00")]
    [InlineData("1 day 2 hours ago", "2026-07-14T10:00:00+00:00")]
    [InlineData("-1h30m", "2026-07-15T10:30:00+00:00")]
    [InlineData("-0.5s", "2026-07-15T11:59:59.5+00:00")]
    [InlineData("-2w", "2026-07-01T12:00:00+00:00")]
    [InlineData("+7d", "2026-07-22T12:00:00+00:00")]
    [InlineData("in 7 days", "2026-07-22T12:00:00+00:00")]
    [InlineData("2026-01-31T15:04:05Z", "2026-01-31T15:04:05+00:00")]
    [InlineData("2026-01-31t15:04:05z", "2026-01-31T15:04:05+00:00")]
    [InlineData("2026-01-31T15:04:05.123+01:00", "2026-01-31T14:04:05.123+00:00")]
    [InlineData("2026-01-31 15:04:05 +0100", "2026-01-31T14:04:05+00:00")]
    [InlineData("2026-01-31 15:04", "2026-01-31T14:04:00+00:00")]
    [InlineData("2026-01-31T15:04:05", "2026-01-31T14:04:05+00:00")]
    [InlineData("2026-07-01 15:04:05.5", "2026-07-01T13:04:05.5+00:00")]
    [InlineData("2026-07-01", "2026-06-30T22:00:00+00:00")]
    [InlineData("14:03", "2026-07-15T12:03:00+00:00")]
    [InlineData("9:05", "2026-07-15T07:05:00+00:00")]
    [InlineData("yesterday", "2026-07-13T22:00:00+00:00")]
    [InlineData("yesterday 14:00", "2026-07-14T12:00:00+00:00")]
    [InlineData("Today  8:30:15", "2026-07-15T06:30:15+00:00")]
    [InlineData("tomorrow 00:00", "2026-07-15T22:00:00+00:00")]
    public void What_people_write_is_understood(string text, string expected) => Assert.Equal(expected, Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("soon")]
    [InlineData("5")]
    [InlineData("5m")]
    [InlineData("-")]
    [InlineData("-5")]
    [InlineData("-5 parsecs")]
    [InlineData("-99999999999d")]
    [InlineData("5 minutes ago ago")]
    [InlineData("25:00")]
    [InlineData("14:60")]
    [InlineData("1.02:03")]
    [InlineData("2026-02-30")]
    [InlineData("2026-1-31")]
    [InlineData("31.01.2026")]
    [InlineData("01/02/2026")]
    [InlineData("yesterday noon")]
    [InlineData("2026-01-31T15:04:05+99:00")]
    [InlineData("2026-01-31\u00003")]
    public void What_is_no_time_is_refused_with_what_to_write(string text)
    {
        var error = Assert.Throws<RecoveryException>(() => Parse(text));
        Assert.Equal(RecoveryError.Invalid, error.Error);
        Assert.Contains("5 minutes ago", error.Message);
    }

    [Fact]
    public void A_local_time_that_never_was_or_was_twice_is_refused_with_the_choices()
    {
        Assert.Contains("put forward", Assert.Throws<RecoveryException>(() => Parse("2026-03-29 02:30")).Message);
        var twice = Assert.Throws<RecoveryException>(() => Parse("2026-10-25 02:30")).Message;
        Assert.Contains("2026-10-25T02:30:00.000+02:00 or 2026-10-25T02:30:00.000+01:00", twice);
        Assert.Equal("2026-10-25T00:30:00+00:00", Parse("2026-10-25T02:30:00.000+02:00"));
        Assert.Equal("2026-10-25T01:30:00+00:00", Parse("2026-10-25T02:30:00.000+01:00"));
    }

    [Theory]
    [InlineData("90s", 90_000)]
    [InlineData("200ms", 200)]
    [InlineData("0.5s", 500)]
    [InlineData("15m", 900_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("2 hours", 7_200_000)]
    [InlineData("7d", 604_800_000)]
    [InlineData("0s", 0)]
    public void A_length_of_time_is_understood(string text, long ms)
        => Assert.Equal(ms, TimeText.ParseDuration(text).TotalMilliseconds);

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("-5m")]
    [InlineData("5x")]
    [InlineData("m")]
    [InlineData("1,5h")]
    [InlineData("999999d")]
    public void What_is_no_length_is_refused(string text)
        => Assert.Equal(RecoveryError.Invalid,
            Assert.Throws<RecoveryException>(() => TimeText.ParseDuration(text)).Error);

    [Fact]
    public void What_is_shown_names_its_zone_and_reads_back()
    {
        var berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");
        Assert.Equal("2026-07-15 14:00:00.000+02:00", TimeText.Show(Now, berlin));
        Assert.Equal("2026-07-15 12:00:00.000Z", TimeText.Show(Now, TimeZoneInfo.Utc));
        Assert.Equal(Now, TimeText.Parse(TimeText.Show(Now, berlin), new Clock("America/New_York")));
        Assert.Equal(Now, TimeText.Parse(TimeText.Show(Now, TimeZoneInfo.Utc), new Clock("America/New_York")));
    }
}
