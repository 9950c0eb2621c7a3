using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;
using Xunit;

namespace RecoveryVfs.PageStore.Tests;

public sealed partial class LockFileTests : IDisposable
{
    readonly TempDirectory directory = new();

    string Lock => Path.Combine(directory.Path, "LOCK");

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Whoever_comes_second_is_told_that_it_is_held()
    {
        using var first = LockFile.TryTake(Lock, "me\n", out _);
        Assert.NotNull(first);
        Assert.Null(LockFile.TryTake(Lock, "you\n", out var error));
        Assert.Equal(LockFile.Held, error);
        Assert.Equal("me", LockFile.ReadText(Lock));
    }

    // What a process that is being started has of its parent's files until it becomes another program.
    [Fact]
    public void A_lock_given_back_is_free_while_a_starting_child_has_a_copy_of_the_descriptor()
    {
        var first = LockFile.TryTake(Lock, "me\n", out _)!;
        var copy = dup(DescriptorOf(Lock));
        try
        {
            Assert.True(copy >= 0);
            first.Dispose();
            using var second = LockFile.TryTake(Lock, "you\n", out var error);
            Assert.True(second is not null, $"the lock is still held (error {error})");
        }
        finally
        {
            _ = close(copy);
        }
    }

    static int DescriptorOf(string path) => Directory.GetFiles("/proc/self/fd")
        .Where(link => TargetOf(link) == path)
        .Select(link => int.Parse(Path.GetFileName(link)))
        .Single();

    /// <summary>Null for one that another thread has closed meanwhile.</summary>
    static string? TargetOf(string link)
    {
        try
        {
            return File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName;
        }
        catch (IOException)
        {
            return null;
        }
    }

    [LibraryImport("libc")]
    private static partial int dup(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
