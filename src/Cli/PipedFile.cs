using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Cli;

/// <summary>
/// What comes by standard input, as a file that nobody else can read: a pipe is read once, and a snapshot is verified
/// before anything is made of it.
/// </summary>
internal sealed class PipedFile : IDisposable
{
    public PipedFile(string directory)
    {
        Directory.CreateDirectory(directory);
        Path = System.IO.Path.Combine(directory, $".snapshot-{System.IO.Path.GetRandomFileName()}");
        using var file = RegularFile.CreateNew(Path);
        try
        {
            using var input = Console.OpenStandardInput();
            input.CopyTo(file);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    public void Dispose() => File.Delete(Path);
}
