namespace RecoveryVfs.Operations;

/// <summary>How far a step of an operation is.</summary>
internal interface IStepProgress : IDisposable
{
    /// <summary>Counts; from any thread.</summary>
    void Add(long bytes);

    /// <summary>How much is done, for whoever counts in something else than bytes.</summary>
    void Reach(int done, int of);
}

/// <summary>A step of an operation begins, which will handle so many bytes; 0 where that is not known.</summary>
internal delegate IStepProgress StepBegun(string step, long totalBytes);

/// <summary>Tells steps to whoever gave an <see cref="IProgress{T}"/>.</summary>
internal sealed class ReportedStep(IProgress<RecoveryProgress>? to, string step, long totalBytes) : IStepProgress
{
    long doneBytes;

    /// <summary>Begins steps that are reported there; nowhere for null.</summary>
    public static StepBegun To(IProgress<RecoveryProgress>? progress) => (step, total)
        => new ReportedStep(progress, step, total);

    public void Add(long bytes)
        => to?.Report(new RecoveryProgress(step, Interlocked.Add(ref doneBytes, bytes), totalBytes));

    public void Reach(int done, int of) => to?.Report(new RecoveryProgress(step, done, of));

    public void Dispose() { }
}
