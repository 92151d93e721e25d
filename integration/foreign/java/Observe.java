import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.alibaba.nacos.api.exception.NacosException;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** Plays a script with the Java client and prints each thing it observes as a line of JSON. */
public final class Observe {
    private static final String SERVICE = "order";
    private static final String PERSISTENT = "order-on-disk";
    private static final String DATA_ID = "order.yaml";
    private static final long PATIENCE = 20_000; // milliseconds
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private final Properties properties = new Properties();
    private final String group;

    private Observe(String addr, String group, String user, String password) {
        this.group = group;
        properties.put(PropertyKeyConst.SERVER_ADDR, addr);
        if (!user.isEmpty()) {
            properties.put(PropertyKeyConst.USERNAME, user);
            properties.put(PropertyKeyConst.PASSWORD, password);
        }
    }

    public static void main(String[] args) {
        int status = 0;
        try {
            var o = new Observe(args[1], args[2], args[3], args[4]);
            switch (args[0]) {
                case "all" -> {
                    o.naming();
                    o.config();
                    o.cut();
                }
                case "login" -> o.login();
                default -> throw new IllegalArgumentException("no script " + args[0]);
            }
        } catch (Throwable t) {
            t.printStackTrace();
            status = 1;
        }
        Runtime.getRuntime().halt(status);
    }

    private static void saw(String step, Object what) throws Exception {
        var line = new HashMap<String, Object>();
        line.put("step", step);
        line.put("saw", what);
        OUT.println(JSON.writeValueAsString(line));
    }

    /** The result of a call, or its error. */
    private static Object outcome(Callable<?> call) throws Exception {
        try {
            return call.call();
        } catch (NacosException e) {
            return List.of(e.getErrCode(), String.valueOf(e.getErrMsg()));
        }
    }

    private interface Action {
        void run() throws Exception;
    }

    private static Callable<String> done(Action a) {
        return () -> {
            a.run();
            return "done";
        };
    }

    /** Waits until something seen is as wanted. */
    private static <T> T await(BlockingQueue<T> queue, Predicate<T> wanted, String what) throws Exception {
        T last = null;
        for (long end = System.currentTimeMillis() + PATIENCE; ; ) {
            T next = queue.poll(end - System.currentTimeMillis(), TimeUnit.MILLISECONDS);
            if (next == null) {
                throw new IllegalStateException("has not seen " + what + ", the last was " + last);
            }
            last = next;
            if (wanted.test(next)) {
                return next;
            }
        }
    }

    private static void until(Callable<?> call) throws Exception {
        for (long end = System.currentTimeMillis() + PATIENCE; ; Thread.sleep(100)) {
            try {
                if (!Boolean.FALSE.equals(call.call())) {
                    return;
                }
            } catch (NacosException e) {
                if (System.currentTimeMillis() > end) {
                    throw e;
                }
            }
        }
    }

    private static Instance instance(int port, String version) {
        var in = new Instance();
        in.setIp("10.0.0.1");
        in.setPort(port);
        in.setWeight(0.5);
        in.setMetadata(new HashMap<>(Map.of("version", version)));
        return in;
    }

    private static List<Instance> sorted(List<Instance> list) {
        var copy = new ArrayList<>(list);
        copy.sort(Comparator.comparing(Instance::getPort).thenComparing(Instance::getClusterName));
        return copy;
    }

    private BlockingQueue<List<Instance>> subscribe(NamingService client, String service) throws NacosException {
        var seen = new LinkedBlockingQueue<List<Instance>>();
        client.subscribe(service, group, e -> seen.add(sorted(((NamingEvent) e).getInstances())));
        return seen;
    }

    private static List<Instance> await(BlockingQueue<List<Instance>> seen, int n, String version) throws Exception {
        return await(seen, l -> l.size() == n && (n == 0 || version.equals(l.get(0).getMetadata().get("version"))),
                n + " instances of " + version);
    }

    private void naming() throws Exception {
        NamingService provider = NacosFactory.createNamingService(properties);
        NamingService subscriber = NacosFactory.createNamingService(properties);
        saw("a service without instances", outcome(() -> subscriber.getAllInstances(SERVICE, group, List.of(), false)));
        var seen = subscribe(subscriber, SERVICE);

        saw("register", outcome(done(() -> provider.registerInstance(SERVICE, group, instance(80, "v1")))));
        saw("register: the subscriber", await(seen, 1, "v1"));
        saw("register anew", outcome(done(() -> provider.registerInstance(SERVICE, group, instance(80, "v2")))));
        saw("register anew: the subscriber", await(seen, 1, "v2"));

        Instance other = instance(81, "v3");
        other.setClusterName("c2");
        other.setWeight(10);
        Instance disabled = instance(82, "v3");
        disabled.setEnabled(false);
        saw("register several",
                outcome(done(() -> provider.batchRegisterInstance(SERVICE, group, List.of(instance(80, "v3"), other, disabled)))));
        saw("register several: the subscriber", await(seen, 2, "v3"));
        saw("select all", sorted(subscriber.getAllInstances(SERVICE, group)));
        saw("select healthy", sorted(subscriber.selectInstances(SERVICE, group, true)));
        // Not as a subscription, which would replace that of the whole service.
        saw("query a cluster", sorted(subscriber.selectInstances(SERVICE, group, List.of("c2"), true, false)));
        saw("query", sorted(subscriber.getAllInstances(SERVICE, group, List.of(), false)));
        saw("the group's services", subscriber.getServicesOfServer(1, 10, group));
        saw("the server's status", subscriber.getServerStatus());
        saw("deregister some",
                outcome(done(() -> provider.batchDeregisterInstance(SERVICE, group, List.of(instance(80, "v3"), disabled)))));
        saw("deregister some: the subscriber", await(seen, 1, "v3"));
        saw("deregister", outcome(done(() -> provider.deregisterInstance(SERVICE, group, other))));
        saw("the last one is gone", await(seen, 0, ""));

        Instance onDisk = instance(80, "v1");
        onDisk.setEphemeral(false);
        saw("register a persistent one", outcome(done(() -> provider.registerInstance(PERSISTENT, group, onDisk))));
        var listed = subscribe(subscriber, PERSISTENT);
        saw("register a persistent one: the subscriber", await(listed, 1, "v1"));
        saw("deregister it", outcome(done(() -> provider.deregisterInstance(PERSISTENT, group, onDisk))));
        saw("deregister it: the subscriber", await(listed, 0, ""));
        saw("an illegal name", outcome(done(() -> provider.registerInstance("a b", group, instance(80, "v1")))));
        provider.shutDown();
        subscriber.shutDown();
    }

    private BlockingQueue<String> listen(ConfigService client) throws NacosException {
        var seen = new LinkedBlockingQueue<String>();
        client.addListener(DATA_ID, group, new AbstractListener() {
            @Override
            public void receiveConfigInfo(String content) {
                seen.add(String.valueOf(content));
            }
        });
        return seen;
    }

    private static String await(BlockingQueue<String> seen, String content) throws Exception {
        return await(seen, content::equals, content);
    }

    private static String md5(String content) throws Exception {
        byte[] sum = MessageDigest.getInstance("MD5").digest(content.getBytes(StandardCharsets.UTF_8));
        return String.format("%032x", new BigInteger(1, sum));
    }

    private void config() throws Exception {
        ConfigService publisher = NacosFactory.createConfigService(properties);
        ConfigService listener = NacosFactory.createConfigService(properties);
        saw("get what is not there", outcome(() -> publisher.getConfig(DATA_ID, group, 3000)));
        // Listening begins before there is a content: one that the process has read is not told again.
        var seen = listen(listener);
        saw("publish", outcome(() -> publisher.publishConfig(DATA_ID, group, "a: 1", "yaml")));
        saw("publish: the listener", await(seen, "a: 1"));
        until(() -> publisher.getConfig(DATA_ID, group, 3000) != null); // Nacos may show it late
        saw("get", outcome(() -> publisher.getConfig(DATA_ID, group, 3000)));
        saw("change", outcome(() -> publisher.publishConfig(DATA_ID, group, "a: ü", "yaml")));
        saw("change: the listener", await(seen, "a: ü"));
        saw("publish over what one has seen",
                outcome(() -> publisher.publishConfigCas(DATA_ID, group, "a: 3", md5("a: ü"), "yaml")));
        saw("publish over what one has seen: the listener", await(seen, "a: 3"));
        saw("publish over what one has not seen",
                outcome(() -> publisher.publishConfigCas(DATA_ID, group, "a: 4", md5("a: ü"), "yaml")));
        saw("delete", outcome(() -> publisher.removeConfig(DATA_ID, group)));
        saw("delete: the listener", await(seen, "null"));
        saw("delete what is not there", outcome(() -> publisher.removeConfig(DATA_ID, group)));
        saw("create again", outcome(() -> publisher.publishConfig(DATA_ID, group, "a: 5", "yaml")));
        saw("create again: the listener", await(seen, "a: 5"));
        saw("the server's status", listener.getServerStatus());
        publisher.shutDown();
        listener.shutDown();
    }

    private void cut() throws Exception {
        NamingService provider = NacosFactory.createNamingService(properties);
        NamingService subscriber = NacosFactory.createNamingService(properties);
        ConfigService both = NacosFactory.createConfigService(properties);
        var seen = subscribe(subscriber, SERVICE);
        var data = listen(both);
        provider.registerInstance(SERVICE, group, instance(80, "before"));
        await(seen, 1, "before");
        both.publishConfig(DATA_ID, group, "before");
        await(data, "before");

        saw("cut the connections", null);
        System.in.read();

        NamingService newcomer = NacosFactory.createNamingService(properties);
        saw("registered again", await(subscribe(newcomer, SERVICE), 1, "before"));
        until(done(() -> provider.registerInstance(SERVICE, group, instance(80, "after"))));
        saw("subscribed again", await(seen, 1, "after"));
        until(() -> both.publishConfig(DATA_ID, group, "after"));
        saw("listening again", await(data, "after"));
    }

    /** A little of everything, with whatever comes of it. */
    private void login() throws Exception {
        ConfigService config = NacosFactory.createConfigService(properties);
        NamingService naming = NacosFactory.createNamingService(properties);
        saw("get", outcome(() -> config.getConfig(DATA_ID, group, 3000)));
        saw("publish", outcome(() -> config.publishConfig(DATA_ID, group, "a: 1", "yaml")));
        saw("services", outcome(() -> naming.getServicesOfServer(1, 10, group)));
        saw("register", outcome(done(() -> naming.registerInstance(SERVICE, group, instance(80, "v1")))));
    }
}
