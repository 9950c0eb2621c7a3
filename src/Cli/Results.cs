using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using RecoveryVfs.Cli.Commands;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli;

/// <summary>
/// Every result that --json prints, and how. What writes them is generated when this is compiled: a native program has
/// no reflection to fall back on, and a result that is missing here does not compile.
/// </summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(BookmarkCommand.Report), TypeInfoPropertyName = "Bookmark")]
[JsonSerializable(typeof(Branch), TypeInfoPropertyName = "Branch")]
[JsonSerializable(typeof(List<Branch>), TypeInfoPropertyName = "Branches")]
[JsonSerializable(typeof(BranchCommand.Deleted), TypeInfoPropertyName = "BranchDeleted")]
[JsonSerializable(typeof(RollbackResult), TypeInfoPropertyName = "Rollback")]
[JsonSerializable(typeof(RollbackCommand.Preview), TypeInfoPropertyName = "RollbackPreview")]
[JsonSerializable(typeof(List<RollbackEntry>), TypeInfoPropertyName = "Rollbacks")]
[JsonSerializable(typeof(CheckCommand.Report), TypeInfoPropertyName = "Check")]
[JsonSerializable(typeof(DoctorCommand.Report), TypeInfoPropertyName = "Doctor")]
[JsonSerializable(typeof(DatabasesCommand.Report), TypeInfoPropertyName = "Databases")]
[JsonSerializable(typeof(DeleteCommand.Report), TypeInfoPropertyName = "Delete")]
[JsonSerializable(typeof(DemoCommand.Report), TypeInfoPropertyName = "Demo")]
[JsonSerializable(typeof(DifferenceLines.CountsReport), TypeInfoPropertyName = "DifferenceCounts")]
[JsonSerializable(typeof(ExportCommand.Report), TypeInfoPropertyName = "Export")]
[JsonSerializable(typeof(GcCommand.Report), TypeInfoPropertyName = "Gc")]
[JsonSerializable(typeof(HintsCommand.Entry), TypeInfoPropertyName = "HintsEntry")]
[JsonSerializable(typeof(List<HintsCommand.Entry>), TypeInfoPropertyName = "Hints")]
[JsonSerializable(typeof(ImportCommand.Report), TypeInfoPropertyName = "Import")]
[JsonSerializable(typeof(ImportCommand.Rows), TypeInfoPropertyName = "ImportRows")]
[JsonSerializable(typeof(List<VerifyCommand.BackupReport>), TypeInfoPropertyName = "ListBackupReport")]
[JsonSerializable(typeof(List<LoggedCommit>), TypeInfoPropertyName = "Commits")]
[JsonSerializable(typeof(List<LogCommand.Segment>), TypeInfoPropertyName = "Segments")]
[JsonSerializable(typeof(PromoteCommand.Report), TypeInfoPropertyName = "Promote")]
[JsonSerializable(typeof(RemoteCommand.Report), TypeInfoPropertyName = "Remote")]
[JsonSerializable(typeof(AdoptCommand.Report), TypeInfoPropertyName = "Adopt")]
[JsonSerializable(typeof(List<ReplicateCommand.Report>), TypeInfoPropertyName = "Replicated")]
[JsonSerializable(typeof(RestoreCommand.Report), TypeInfoPropertyName = "Restore")]
[JsonSerializable(typeof(RestoreCommand.Skipped), TypeInfoPropertyName = "RestoreSkipped")]
[JsonSerializable(typeof(SalvageCommand.Entry), TypeInfoPropertyName = "SalvageEntry")]
[JsonSerializable(typeof(List<SalvageCommand.Entry>), TypeInfoPropertyName = "Salvage")]
[JsonSerializable(typeof(SalvageCommand.Extracted), TypeInfoPropertyName = "SalvageExtracted")]
[JsonSerializable(typeof(SnapshotFile), TypeInfoPropertyName = "SnapshotFile")]
[JsonSerializable(typeof(SnapshotFileActions.Restored), TypeInfoPropertyName = "SnapshotRestored")]
[JsonSerializable(typeof(Snapshot), TypeInfoPropertyName = "Snapshot")]
[JsonSerializable(typeof(List<Snapshot>), TypeInfoPropertyName = "Snapshots")]
[JsonSerializable(typeof(StoreStatus), TypeInfoPropertyName = "StatusOfStore")]
[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(List<MirroredDatabase>), TypeInfoPropertyName = "Mirrored")]
[JsonSerializable(typeof(StatusCommand.RemoteOnly), TypeInfoPropertyName = "StatusOfRemote")]
[JsonSerializable(typeof(SyncResult), TypeInfoPropertyName = "Sync")]
[JsonSerializable(typeof(Output.Said), TypeInfoPropertyName = "Said")]
[JsonSerializable(typeof(UndeleteCommand.Report), TypeInfoPropertyName = "Undelete")]
[JsonSerializable(typeof(VerifyCommand.Report), TypeInfoPropertyName = "Verify")]
internal sealed partial class Results : JsonSerializerContext
{
    /// <summary>For messages: one line each, without what they don't have.</summary>
    public static Results OneLine { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    public static Results Json { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
