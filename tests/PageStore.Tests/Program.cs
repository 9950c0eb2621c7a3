// The tests start this assembly as a process of its own, to be killed. (dotnet test does not come by here.)
return RecoveryVfs.PageStore.Tests.ChildProcess.Run(args);
