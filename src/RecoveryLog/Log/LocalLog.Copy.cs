using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// A copy of another log: records keep their numbers, times and groups.
internal sealed partial class LocalLog
{
    long copiedTime;

    /// <summary>
    /// Appends the next record of the log that this one is a copy of; a group must be brought to its end before
    /// anything else is done with this log. On an error the group is not in the log.
    /// </summary>
    public void AppendCopy(in Record record)
    {
        lock (appendLock)
        {
            if (record.Lsn != appendedLsn + 1)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"The log in {directory} needs LSN {appendedLsn + 1} next and was given {record.Lsn}.")
                { Path = directory, Lsn = appendedLsn + 1 };
            if (!groupOpen)
            {
                ThrowUnlessWritable();
                OpenGroup(null);
            }
            try
            {
                copiedTime = record.UnixTimeMs;
                Emit(record.Kind, record.Flags, record.Body, default, default);
                if (record.Continues) return;
                Publish(writeOut: false);
                FinishGroup();
            }
            catch
            {
                FinishGroup();
                throw;
            }
            finally
            {
                copiedTime = 0;
            }
        }
    }

    /// <summary>Gives up a group that <see cref="AppendCopy"/> has begun.</summary>
    public void AbandonCopy()
    {
        lock (appendLock)
            if (groupOpen) FinishGroup();
    }
}
