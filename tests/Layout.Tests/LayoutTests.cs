using ArchUnitNET.Domain;
using ArchUnitNET.Loader;

namespace RecoveryVfs.Layout.Tests;

/// <summary>
/// The code is laid out as docs/DESIGN.md says: a folder is a room, and rooms use each other one way.
/// </summary>
public sealed class LayoutTests
{
    static readonly Architecture Code = new ArchLoader().LoadAssemblies(
        typeof(RecoveryLog.RecoveryException).Assembly,
        typeof(PageStore.Follow.Follower).Assembly,
        typeof(Recovery).Assembly,
        typeof(Rows.IPageSource).Assembly,
        typeof(Replicate.ReplicatorOptions).Assembly,
        typeof(Changes.RowTail).Assembly,
        typeof(Hosting.RecoveryServices).Assembly,
        typeof(RocksDb.RecordedRocksDb).Assembly).Build();

    /// <summary>Which namespace uses which, with the types that do: what the compiler wrote, comments aside.</summary>
    static readonly ILookup<(string From, string To), string> Uses = (
        from type in Code.Types
        where IsOurs(type)
        from dependency in type.Dependencies
        where IsOurs(dependency.Target) && RoomOf(type) != RoomOf(dependency.Target)
        select (Pair: (RoomOf(type), RoomOf(dependency.Target)), Who: $"{type.Name} uses {dependency.Target.Name}"))
        .Distinct()
        .ToLookup(use => use.Pair, use => use.Who);

    static bool IsOurs(IType type) => type is not GenericParameter &&
        type.Namespace?.FullName.StartsWith("RecoveryVfs", StringComparison.Ordinal) is true;

    /// <summary>
    /// The namespace, except for a type that has a row of its own: the public face of a layer is what its users find
    /// first, and stands on all of its rooms.
    /// </summary>
    static string RoomOf(IType type)
    {
        var outermost = type.FullName.Split('+', '/')[0];
        return Rooms.Documented.ContainsKey(outermost) ? outermost : type.Namespace.FullName;
    }

    /// <summary>Names them all, where Assert.Equal would show half of the first.</summary>
    static void None(IEnumerable<string> complaints)
    {
        var all = string.Join("\n", complaints);
        Assert.True(all.Length == 0, all);
    }

    [Fact]
    public void Every_folder_with_code_is_a_room_in_the_design_page()
    {
        var folders = Code.Types.Where(IsOurs).Select(RoomOf).Distinct().Order();
        Assert.Equal([], folders.Except(Rooms.Documented.Keys));
        Assert.Equal([], Rooms.Documented.Keys.Order().Except(folders));
    }

    [Fact]
    public void A_room_uses_only_what_the_design_page_allows()
    {
        var broken = Uses
            .Where(use => !Rooms.Documented[use.Key.From].Contains(use.Key.To))
            .Select(use => $"{use.Key.From} must not use {use.Key.To}: {string.Join(", ", use.Take(5))}");
        None(broken);
    }

    [Fact]
    public void The_design_page_allows_nothing_that_is_not_used()
    {
        var stale = from room in Rooms.Documented
                    from used in room.Value
                    where !Uses.Contains((room.Key, used))
                    select $"{room.Key} does not use {used}";
        None(stale);
    }

    [Fact]
    public void What_the_design_page_allows_has_no_cycles()
    {
        var left = Rooms.Documented.ToDictionary(room => room.Key, room => room.Value.ToHashSet());
        while (left.Where(room => !room.Value.Any(left.ContainsKey)).Select(room => room.Key).ToList()
            is { Count: > 0 } free)
            foreach (var room in free) left.Remove(room);
        Assert.Equal([], left.Keys);
    }

    /// <summary>
    /// What stands in code marks or in a drawing and looks like a type, or like a type and its member, is there: in the
    /// code, or as a file of tests.
    /// </summary>
    [Fact]
    public void What_the_design_page_names_exists()
    {
        var types = Code.Types.Where(IsOurs).ToLookup(type => type.Name.Split('`')[0], StringComparer.Ordinal);
        var members = types.SelectMany(named => named.SelectMany(MembersOf)).ToHashSet(StringComparer.Ordinal);
        var folders = Rooms.Documented.Keys.SelectMany(room => room.Split('.')).ToHashSet(StringComparer.Ordinal);
        None(DesignPage.Names().Where(name => !Exists(name)).Select(name => $"docs/DESIGN.md names `{name}`: where?"));

        bool Exists(string name) => name.Split('.') is [var type, var member]
            ? types[type].Any(t => MembersOf(t).Contains(member))
            : types.Contains(name) || members.Contains(name) || folders.Contains(name)
                || DesignPage.TestFiles.Contains(name);
    }

    /// <summary>A method's name comes with its parameters, a property's accessor as get_ and its name.</summary>
    static IEnumerable<string> MembersOf(IType type) => type.Members
        .Select(member => member.Name.Split('(')[0].Split('.')[^1])
        .Select(name => name.StartsWith("get_", StringComparison.Ordinal) ? name[4..] : name);
}
