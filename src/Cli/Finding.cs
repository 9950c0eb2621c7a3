namespace RecoveryVfs.Cli;

/// <summary>One thing that `check` or `doctor` looked at.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Result"><c>ok</c>, <c>note</c>, <c>warning</c>, <c>failed</c>, <c>skipped</c>.</param>
/// <param name="Says">What was found.</param>
/// <param name="Remedy">What to do; null when nothing.</param>
internal sealed record Finding(string Check, string Result, string Says, string? Remedy = null)
{
    public bool NeedsAttention => Result is "warning" or "failed";

    /// <summary>All of them for people, and the exit code that says whether somebody has to look.</summary>
    public static void Show(Output to, IReadOnlyList<Finding> findings)
    {
        to.Table(["", "CHECK", "FOUND"], findings.Select(f => new[] { f.Result, f.Check, f.Says }));
        foreach (var finding in findings.Where(f => f.Remedy is not null))
            to.Line($"{finding.Check}: {finding.Remedy}");
        if (findings.All(f => !f.NeedsAttention)) to.Line("Nothing needs attention.");
    }

    public static int CodeOf(IEnumerable<Finding> findings) => findings.Any(f => f.NeedsAttention)
        ? ExitCode.Failure
        : ExitCode.Ok;
}
