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
        typeof(Hosting.RecoveryServices).Assembly).Build();

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
            .Where(use => !Rooms.Documented[use.Key.From].Contains(use.Key.To) && !Rooms.StillToUndo.Contains(use.Key))
            .Select(use => $"{use.Key.From} must not use {use.Key.To}: {string.Join(", ", use.Take(5))}");
        None(broken);
    }

    [Fact]
    public void The_design_page_allows_nothing_that_is_not_used_and_undone_means_undone()
    {
        var stale = from room in Rooms.Documented
                    from used in room.Value
                    where !Uses.Contains((room.Key, used))
                    select $"{room.Key} does not use {used}";
        None(stale);
        None(Rooms.StillToUndo.Where(use => !Uses.Contains(use)).Select(use => $"{use.From} no longer uses {use.To}"));
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
}
