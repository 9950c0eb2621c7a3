using RecoveryVfs.Tests;

// The tests start this assembly as a process of its own, to be read beside, to be killed, or to use another SQLite. (dotnet test does not come by here.)
return args[0] == OtherSqlite.Word ? OtherSqlite.Run(args[1], args[2], wal: args.Length > 3) : RandomWriter.Run(args);
