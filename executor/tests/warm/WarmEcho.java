import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A stand-in for an engine: a real JVM, our own protocol, and files whose lines are what is to be done. `say TEXT` says it
 * (with ${NAME} of a parameter in it), `rows NAME N` counts, `live NAME N` is on its way, `sleep MS` waits and can be stopped, `spin` can not be, `die`
 * ends the JVM, `fail TEXT` is an error, `heap` takes all memory.
 */
public final class WarmEcho implements Warm.Engine {
  private final Map<Warm.Run, Object[]> lives = new ConcurrentHashMap<>();

  @Override
  public void load() {
    if (System.getProperty("echo.dies") != null) {
      System.out.println("told to die");
      Runtime.getRuntime().halt(7);
    }
  }

  @Override
  public Warm.End run(Warm.Run run) throws Exception {
    CountDownLatch latch = new CountDownLatch(1);
    run.handle = latch;
    for (String line : Files.readAllLines(Paths.get(run.file))) {
      String[] words = line.split(" ", 2);
      String rest = words.length > 1 ? words[1] : "";
      for (Map.Entry<String, String> one : run.params.entrySet()) {
        rest = rest.replace("${" + one.getKey() + "}", one.getValue());
      }
      switch (words[0]) {
        case "say":
          run.log("2026/11/20 10:19:19 - echo - " + rest + "\n2026/11/20 10:19:19 - echo - again " + rest);
          break;
        case "rows":
          String[] two = rest.split(" ");
          run.step("", "echo", two[0], 0, 0, Long.parseLong(two[1]), Long.parseLong(two[1]), 0, 0);
          break;
        case "live":
          Object[] live = {rest.split(" ")[0], Long.parseLong(rest.split(" ")[1])};
          lives.put(run, live);
          break;
        case "sleep":
          if (run.stopped || latch.await(Long.parseLong(rest), TimeUnit.MILLISECONDS)) {
            return new Warm.End(Warm.Word.STOPPED, 0, "");
          }
          break;
        case "spin":
          while (true) {
            Thread.sleep(1_000);
          }
        case "die":
          Runtime.getRuntime().halt(7);
          break;
        case "heap":
          java.util.List<long[]> all = new java.util.ArrayList<>();
          while (true) {
            all.add(new long[1 << 20]);
          }
        case "fail":
          run.log("2026/11/20 10:19:19 - echo - ERROR: " + rest);
          return new Warm.End(Warm.Word.ERROR, 1, rest);
        default:
          throw new IllegalArgumentException("what is " + line + "?");
      }
    }
    return new Warm.End(Warm.Word.OK, 0, "");
  }

  @Override
  public void look(Warm.Run run, Warm.Look look) {
    Object[] live = lives.get(run);
    if (live != null) {
      // Two copies.
      look.step("", "echo", (String) live[0], 0, 0, (Long) live[1], 0, 0, 0);
      look.step("", "echo", (String) live[0], 0, 0, 1, 0, 0, 0);
    }
  }

  @Override
  public void stop(Warm.Run run) {
    ((CountDownLatch) run.handle).countDown();
  }
}
