// X-Hub-Signature with Java 17 or later:  java Sign.java SECRET UNIX_SECONDS NONCE FILE
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Sign {
    static String sign(String secret, String seconds, String nonce, byte[] body) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        mac.update((seconds + "." + nonce + ".").getBytes(StandardCharsets.US_ASCII));
        return "t=" + seconds + ",n=" + nonce + ",v1=" + HexFormat.of().formatHex(mac.doFinal(body));
    }

    public static void main(String[] args) throws Exception {
        System.out.println(sign(args[0], args[1], args[2], Files.readAllBytes(Path.of(args[3]))));
    }
}
