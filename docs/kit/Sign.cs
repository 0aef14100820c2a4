// X-Hub-Signature with .NET 10 or later:  dotnet run Sign.cs -- SECRET UNIX_SECONDS NONCE FILE
// (with an older .NET, as the Program.cs of a console project: dotnet run -- SECRET UNIX_SECONDS NONCE FILE)
using System;
using System.IO;
using System.Security.Cryptography;
using System.Text;

public static class Sign
{
    public static string Header(string secret, string seconds, string nonce, byte[] body)
    {
        byte[] before = Encoding.ASCII.GetBytes($"{seconds}.{nonce}.");
        byte[] signed = new byte[before.Length + body.Length];
        Buffer.BlockCopy(before, 0, signed, 0, before.Length);
        Buffer.BlockCopy(body, 0, signed, before.Length, body.Length);
        using HMACSHA256 mac = new HMACSHA256(Encoding.UTF8.GetBytes(secret));
        string hex = BitConverter.ToString(mac.ComputeHash(signed)).Replace("-", "").ToLowerInvariant();
        return $"t={seconds},n={nonce},v1={hex}";
    }

    public static void Main(string[] args) =>
        Console.WriteLine(Header(args[0], args[1], args[2], File.ReadAllBytes(args[3])));
}
