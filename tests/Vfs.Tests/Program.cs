// The tests start this assembly as a process of its own, to be read beside and to be killed. (dotnet test does not come by here.)
return RecoveryVfs.Tests.RandomWriter.Run(args);
