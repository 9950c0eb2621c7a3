// The tests start this assembly as a process of its own, to be read beside, to be killed, or to use another SQLite. (dotnet test does not come by here.)
return args[0] == RecoveryVfs.Tests.OtherSqlite.Word ? RecoveryVfs.Tests.OtherSqlite.Run(args[1], args[2]) : RecoveryVfs.Tests.RandomWriter.Run(args);
