using System.Reflection;
using System.Text.RegularExpressions;
using RecoveryVfs.RocksDb.Binding;

namespace RecoveryVfs.Testing;

/// <summary>The binding is of a newer RocksDB than ours: what it would call otherwise than ours is called.</summary>
public sealed partial class BindingTests
{
    [Fact]
    public void Functions_that_take_other_parameters_here_are_not_bound()
    {
        var ours = Prototypes(File.ReadAllText("/usr/include/rocksdb/c.h"));
        Assert.True(ours.Count > 700);
        var changed = typeof(RocksDbSharp.Native).GetMethods(BindingFlags.Public | BindingFlags.Instance)
            .Where(m => m.IsAbstract && !m.IsGenericMethod && ours.ContainsKey(m.Name)
                && ours[m.Name] != m.GetParameters().Length)
            .Select(m => m.Name).Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(ChangedFunctions.Names.Order(StringComparer.Ordinal), changed);
    }

    [Fact]
    public void A_function_that_is_not_bound_is_named()
    {
        using var site = new Site();
        using var kv = site.Open();
        var error = Assert.Throws<NativeImport.NativeFunctionMissingException>(kv.Db.EnableFileDeletions);
        Assert.Contains("rocksdb_enable_file_deletions", error.Message, StringComparison.Ordinal);
    }

    /// <summary>How many parameters each function of the C interface has.</summary>
    static Dictionary<string, int> Prototypes(string header)
    {
        var code = Comments().Replace(header, "");
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (Match match in Functions().Matches(code))
        {
            var (depth, commas) = (0, 0);
            foreach (var c in match.Groups[2].Value)
            {
                depth += c switch { '(' => 1, ')' => -1, _ => 0 };
                if (c == ',' && depth == 0) commas++;
            }
            found[match.Groups[1].Value] = match.Groups[2].Value.Trim() is "" or "void" ? 0 : commas + 1;
        }
        return found;
    }

    [GeneratedRegex(@"/\*.*?\*/|//[^\n]*", RegexOptions.Singleline)]
    private static partial Regex Comments();

    [GeneratedRegex(@"(rocksdb_\w+)\s*\(((?:[^()]|\([^()]*\))*)\)\s*;")]
    private static partial Regex Functions();
}
