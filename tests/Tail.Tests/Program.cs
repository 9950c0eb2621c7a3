using RecoveryVfs.Tail.Tests;

// The tests start this assembly as processes of their own, to be killed. (dotnet test does not come by here.)
return args switch
{
    ["write", var directory, var url, var who] => ChaosWriter.Run(directory, url, who),
    ["read", var directory, var url] => ChaosReader.Run(directory, url),
    _ => 2,
};
