import com.alibaba.nacos.Nacos;
import java.io.IOException;

/** Starts a Nacos 2 server with its console. */
public final class Launcher {
    public static void main(String[] args) {
        var parent = new Thread(Launcher::exitWithParent, "parent");
        parent.setDaemon(true);
        parent.start();
        Nacos.main(args);
    }

    /** Standard input is a pipe that nobody writes to: it ends when whoever started us does. */
    private static void exitWithParent() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException e) {
            // The pipe is gone, and so is the parent.
        }
        Runtime.getRuntime().halt(0);
    }
}
