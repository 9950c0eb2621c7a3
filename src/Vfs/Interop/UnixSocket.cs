using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Interop;

/// <summary>
/// A Unix socket that has a name in a directory. .NET makes one with the rights that the umask leaves, and cannot name
/// one whose path is longer than a socket's address; so the few calls are made here, and .NET gets what is open.
/// </summary>
internal static unsafe partial class UnixSocket
{
    const int Family = 1, Stream = 1, CloseOnExec = 0x80000, OwnerOnly = 0x180,
        AddressBytes = 110, NameAt = 2;
    const int OfSocket = 1, PeerCredentials = 17;

    /// <summary>
    /// Listens under a name, for this user alone: the rights are there before the name is. What an earlier process left
    /// under it is replaced, if it is a socket; the caller holds what keeps others from doing the same.
    /// </summary>
    public static Socket Listen(string path, int backlog)
    {
        if (FileNode.At(path) is { } left)
        {
            if (left.Kind != "a socket")
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{path} is {left.Kind}, where a socket is to be: see who put it there.");
            File.Delete(path);
        }
        var socket = Open();
        try
        {
            // On Linux a name takes the rights of the socket that is bound to it.
            var descriptor = (int)socket.DangerousGetHandle();
            if (fchmod(descriptor, OwnerOnly) != 0
                || At(path, (address, length) => bind(descriptor, address, length)) != 0
                || listen(descriptor, backlog) != 0)
                throw Failed("listen at", path);
            if (FileNode.At(path) is not { Rights: OwnerOnly })
                throw new RecoveryException(RecoveryError.CannotOpen, $"{path} could not be made this user's alone.");
            return new Socket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connects to who listens under a name; null when nobody does.</summary>
    public static Socket? TryConnect(string path)
    {
        if (FileNode.At(path) is null) return null;
        var socket = Open();
        var descriptor = (int)socket.DangerousGetHandle();
        if (At(path, (address, length) => connect(descriptor, address, length)) == 0) return new Socket(socket);
        var errno = Marshal.GetLastPInvokeError();
        socket.Dispose();
        const int notThere = 2, refused = 111;
        return errno is notThere or refused ? null : throw Failed("connect to", path, errno);
    }

    /// <summary>
    /// The user and the process at the other end, as the system knows them from the moment of connecting.
    /// </summary>
    public static (int Process, uint User) PeerOf(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        socket.GetRawSocketOption(OfSocket, PeerCredentials, credentials);
        return (BitConverter.ToInt32(credentials), BitConverter.ToUInt32(credentials[4..]));
    }

    public static uint User => geteuid();

    static SafeSocketHandle Open()
    {
        var descriptor = socket(Family, Stream | CloseOnExec, 0);
        return descriptor >= 0 ? new SafeSocketHandle(descriptor, ownsHandle: true) : throw Failed("make", "a socket");
    }

    delegate int Call(byte* address, int length);

    /// <summary>
    /// Makes a call with the address of a name: by way of its open directory, so that the path may be as long as it
    /// likes.
    /// </summary>
    static int At(string path, Call call)
    {
        using var directory =
            new SafeFileHandle(Posix.Open(Path.GetDirectoryName(path)!,
            Posix.O_RDONLY | Posix.O_CLOEXEC | Posix.O_DIRECTORY, 0), ownsHandle: true);
        if (directory.IsInvalid) return -1;
        var name = Encoding.UTF8.GetBytes($"/proc/self/fd/{directory.DangerousGetHandle()}/{Path.GetFileName(path)}");
        var address = stackalloc byte[AddressBytes];
        new Span<byte>(address, AddressBytes).Clear();
        address[0] = Family;
        name.CopyTo(new Span<byte>(address + NameAt, AddressBytes - NameAt - 1));
        return call(address, NameAt + name.Length + 1);
    }

    static RecoveryException Failed(string what, string path, int? errno = null) =>
        new(RecoveryError.CannotOpen,
            $"Cannot {what} {path}: {Marshal.GetPInvokeErrorMessage(errno ?? Marshal.GetLastPInvokeError())}.");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(int descriptor, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int descriptor, byte* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int listen(int descriptor, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(int descriptor, byte* address, int length);

    [LibraryImport("libc")]
    private static partial uint geteuid();
}
