using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

internal enum MergeStep
{
    End,
    OnlyBefore,
    OnlyAfter,
    Both,
}

/// <summary>
/// Goes through two versions of a tree at once, in key order, and leaves out the leaves that both have unchanged at the
/// same place. SQLite changes leaves where they are, and the pages above them tell nothing of it; so those are all read
/// (one in some hundred), and each leaf's number is looked up.
/// </summary>
internal sealed class TreeMerge
{
    readonly ChangedPages changed;
    readonly RowOrder order;
    readonly DirtyPages? dirty;
    MergeStep last = MergeStep.End;

    /// <param name="before">The earlier tree.</param>
    /// <param name="after">The later tree.</param>
    /// <param name="order">The order of both.</param>
    /// <param name="changed">The pages that changed.</param>
    /// <param name="dirty">The same, with those above them; null when all pages above leaves have to be read.</param>
    public TreeMerge(TreeWalk before, TreeWalk after, RowOrder order, ChangedPages changed, DirtyPages? dirty = null)
    {
        (Before, After, this.order, this.changed, this.dirty) = (before, after, order, changed, dirty);
        if (!before.HasLevels) before.FindLevels();
        if (!after.HasLevels) after.FindLevels();
    }

    public TreeWalk Before { get; }
    public TreeWalk After { get; }

    /// <summary>Whether the two rows at hand are in a page that both have unchanged, and so are the same.</summary>
    public bool InUnchangedPage => Before.Page.Number == After.Page.Number && !changed[After.Page.Number];

    public MergeStep Next()
    {
        if (last is MergeStep.OnlyBefore or MergeStep.Both) Before.Next();
        if (last is MergeStep.OnlyAfter or MergeStep.Both) After.Next();
        MergeStep? step;
        do step = Step();
        while (step is null);
        last = step.Value;
        if (last is MergeStep.OnlyBefore or MergeStep.Both) order.Check(Before, isAfter: false);
        if (last is MergeStep.OnlyAfter or MergeStep.Both) order.Check(After, isAfter: true);
        return last;
    }

    MergeStep? Step()
    {
        if (Before.At == WalkAt.Subtree)
            return After.At == WalkAt.Subtree ? BothAtSubtrees() : AtSubtree(Before, After, MergeStep.OnlyAfter);
        if (After.At == WalkAt.Subtree) return AtSubtree(After, Before, MergeStep.OnlyBefore);
        if (Before.At == WalkAt.End) return After.At == WalkAt.End ? MergeStep.End : MergeStep.OnlyAfter;
        if (After.At == WalkAt.End) return MergeStep.OnlyBefore;
        var compared = order.Compare(Before, After);
        return compared == 0 ? MergeStep.Both : compared < 0 ? MergeStep.OnlyBefore : MergeStep.OnlyAfter;
    }

    MergeStep? AtSubtree(TreeWalk subtree, TreeWalk other, MergeStep otherOnly)
    {
        if (other.At == WalkAt.Row && order.IsBefore(other, subtree)) return otherOnly;
        subtree.Enter();
        return null;
    }

    MergeStep? BothAtSubtrees()
    {
        var same = Before.Subtree == After.Subtree && !changed[After.Subtree];
        if (same && Before.Level == 0 && After.Level == 0)
        {
            LeaveUnchanged();
            return null;
        }
        if (dirty is not null && same && Before.Level == After.Level && !dirty[After.Subtree])
        {
            Before.Leave();
            After.Leave();
            return null;
        }
        var starts = order.CompareStarts(Before, After);
        if (starts == 0) starts = After.Level.CompareTo(Before.Level); // The higher one is entered first.
        if (starts <= 0) Before.Enter();
        if (starts >= 0) After.Enter(same && starts == 0 ? Before.Page : null);
        return null;
    }

    /// <summary>Most leaves of most trees pass here, and cost a look at a bit each.</summary>
    void LeaveUnchanged()
    {
        if (!After.IsOfRowIds || !After.HasPage || !Before.HasPage || !InUnchangedPage
            || Before.Page.Index != After.Page.Index)
        {
            Before.Leave();
            After.Leave();
            return;
        }
        var page = After.Page;
        var next = page.Index + 1;
        while (next <= page.CellCount && !changed[page.Child(next)]) next++;
        Before.LeaveTo(next);
        After.LeaveTo(next);
    }
}
