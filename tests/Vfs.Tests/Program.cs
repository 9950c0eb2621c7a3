using RecoveryVfs.Tests;

// The tests start this assembly as a process of its own, to be read beside, to be killed, to die, or to use another
// SQLite. (dotnet test does not come by here.)
return args switch
{
    [OtherSqlite.Word, var first, var second, .. var more] => OtherSqlite.Run(first, second, wal: more.Length > 0),
    [Opener.Word or Opener.LeaveOpen, ..] => Opener.Run(args),
    [SqlShell.Name, .. var library] => SqlShell.Run(library.SingleOrDefault()),
    [SmallDisk.Name, .. var rest] => FullDisk.Run(rest),
    _ => RandomWriter.Run(args),
};
