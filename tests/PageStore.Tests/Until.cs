namespace RecoveryVfs.PageStore.Tests;

/// <summary>Waiting for what happens in the background, by looking.</summary>
static class Until
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static Task IsTrue(Func<bool> condition, Func<string>? otherwise = null) =>
        Task.Run(() => Assert.True(SpinWait.SpinUntil(condition, Limit), otherwise?.Invoke()
            ?? "It did not happen in time."));
}
