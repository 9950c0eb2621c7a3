namespace RecoveryVfs.Testing;

/// <summary>Tests run parts of themselves as processes that can be killed.</summary>
internal static class Program
{
    public static int Main(string[] arguments) => 2;
}
