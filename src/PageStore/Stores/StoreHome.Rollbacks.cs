using System.Globalization;

namespace RecoveryVfs.PageStore.Stores;

// What rolling back leaves in the directory, and puts there for the while.
internal sealed partial class StoreHome
{
    /// <summary>What was taken back to an earlier state, a line each time.</summary>
    public string Rollbacks => At("rollbacks");

    /// <summary>
    /// Where a roll back puts the state that it takes a database back to, and how the files there are called: a name
    /// within this directory, of a database that is numbered.
    /// </summary>
    public const string RollbackStaging = "rollback";

    /// <summary>The name, from this directory, of such a file.</summary>
    public static string RollbackFile(int number)
        => string.Create(CultureInfo.InvariantCulture, $".{RollbackStaging}.restoring/past-{number}");

    /// <summary>Whether it is the name of such a file, and of no other.</summary>
    public static bool IsRollbackFile(string name) => name.LastIndexOf('-') is > 0 and var at
        && int.TryParse(name.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && name == RollbackFile(number);
}
