using k8s;
using k8s.Models;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// examples/replicate/kubernetes.yaml, by Kubernetes' own models, which are made of its schema: a field that it does
/// not know is refused. What holds it together is there, too.
/// </summary>
public sealed class ManifestTests
{
    static readonly string manifest = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "kubernetes.yaml"));

    static V1StatefulSet Read(string text) => KubernetesYaml.Deserialize<V1StatefulSet>(text, strict: true);

    [Fact]
    public void It_is_a_stateful_set_whose_replicator_starts_before_the_application_and_ends_after_it()
    {
        var set = Read(manifest);
        Assert.Equal(("apps/v1", "StatefulSet", 1), (set.ApiVersion, set.Kind, set.Spec.Replicas));
        Assert.Equal(set.Spec.Selector.MatchLabels, set.Spec.Template.Metadata.Labels);
        var pod = set.Spec.Template.Spec;
        var replicator = Assert.Single(pod.InitContainers);
        // What makes an init container a sidecar.
        Assert.Equal("Always", replicator.RestartPolicy);
        Assert.Equal("replicate", replicator.Args[0]);
        var listens = replicator.Args[replicator.Args.IndexOf("--listen") + 1];
        foreach (var probe in (V1Probe[])[replicator.StartupProbe, replicator.LivenessProbe])
            Assert.EndsWith($":{probe.HttpGet.Port.Value}", listens, StringComparison.Ordinal);
        Assert.Equal("/ready", replicator.StartupProbe.HttpGet.Path);
        Assert.Equal("/health", replicator.LivenessProbe.HttpGet.Path);
        var volume = Assert.Single(set.Spec.VolumeClaimTemplates).Metadata.Name;
        foreach (var container in (V1Container[])[replicator, .. pod.Containers])
        {
            var mount = Assert.Single(container.VolumeMounts);
            Assert.Equal(volume, mount.Name);
            Assert.StartsWith(mount.MountPath + "/", replicator.Args[1], StringComparison.Ordinal);
        }
        // SQLite's files must be writable by both.
        Assert.NotNull(pod.SecurityContext.FsGroup);
        Assert.All([replicator, .. pod.Containers], c => Assert.Null(c.SecurityContext?.RunAsUser));
    }

    [Theory]
    [InlineData("periodSeconds:", "periodSecond:")]
    [InlineData("volumeMounts:", "volumes:")]
    [InlineData("failureThreshold: 600", "failureThreshold: often")]
    public void A_field_that_Kubernetes_does_not_know_would_be_seen(string field, string mistaken)
    {
        Assert.Contains(field, manifest, StringComparison.Ordinal);
        Assert.ThrowsAny<Exception>(() => Read(manifest.Replace(field, mistaken)));
    }
}
