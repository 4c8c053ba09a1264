import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A JVM that keeps an engine loaded and runs what the warm engine's desk (executor/src/warm) asks for, many at once.
 *
 * <p>Standard input and output speak in lines, their fields parted by tabs; a tab, a line feed, a carriage return and a
 * backslash within a field are written as \t, \n, \r and \\. In: RUN id form file level configuration project
 * lifecycle NAME=value… (form: "job", of Kettle), STOP id, QUIT. Out: READY ms, LOG id line, STEP id entry part name input
 * output read written updated errors (one copy, at its end; entry: those that lead to it, as `below` makes it), LIVE with the same fields (all copies, on their way), END id word
 * errors text. The end of the input ends the JVM: it outlives no desk.
 *
 * <p>Written for Java 8 on; compiled on the host, against the engine that is there. The name of the class that stands
 * between us and the engine is our first argument.
 */
public final class Warm {
  /** What stands between us and an engine. */
  public interface Engine {
    /** Once, before anything is run. */
    void load() throws Exception;

    /** Returns when it has ended, with all its lines and steps told. */
    End run(Run run) throws Throwable;

    /** Asks what `run.handle` is to end; it may be called at any time once that is set, and more than once. */
    void stop(Run run) throws Exception;

    /** Tells `look` of each copy of each step of `run.handle`, if that is set and they are made. */
    default void look(Run run, Look look) throws Exception {}
  }

  /** How far a run is: copies of a step are added up. */
  public static final class Look {
    private final Map<String, long[]> steps = new LinkedHashMap<>();

    public void step(String entry, String part, String name, long... rows) {
      String key = escaped(entry) + "\t" + escaped(part == null ? "" : part) + "\t" + escaped(name == null ? "" : name);
      if (!steps.containsKey(key) && steps.size() >= STEPS_MAX) {
        return;
      }
      long[] sum = steps.computeIfAbsent(key, none -> new long[6]);
      for (int at = 0; at < 6; at++) {
        sum[at] += Math.max(0, rows[at]);
      }
    }
  }

  public enum Word { OK, ERROR, STOPPED, LOAD, INIT }

  /** How a run has ended. */
  public static final class End {
    final Word word;
    final long errors;
    final String text;

    public End(Word word, long errors, String text) {
      this.word = word;
      this.errors = errors;
      this.text = text;
    }
  }

  /** One run, and where its words go. */
  public static final class Run {
    public final String id;
    /** Of Kettle: a job, whatever its file is called. */
    public final boolean job;
    public final String file;
    public final String level;
    public final String configuration;
    public final String project;
    public final String lifecycle;
    public final Map<String, String> params = new LinkedHashMap<>();
    /** Of the engine: what a stop is said to. */
    public volatile Object handle;
    public volatile boolean stopped;
    /** Nothing is told after its end. */
    private boolean over;

    Run(String[] fields) {
      id = fields[1];
      job = fields[2].equals("job");
      file = fields[3];
      level = fields[4];
      configuration = fields[5];
      project = fields[6];
      lifecycle = fields[7];
      for (int at = 8; at < fields.length; at++) {
        int equals = fields[at].indexOf('=');
        params.put(fields[at].substring(0, equals), fields[at].substring(equals + 1));
      }
    }

    public synchronized void log(String text) {
      if (over) {
        return;
      }
      for (String line : text.split("\r?\n")) {
        say("LOG", id, line.length() > LINE_MAX ? line.substring(0, LINE_MAX) + "…" : line);
      }
    }

    /** Rows of one step, or of one copy of it. `part`: the transformation or pipeline that it belongs to; `entry`: who has begun that. */
    public synchronized void step(String entry, String part, String name, long... rows) {
      if (over) {
        return;
      }
      String[] fields = new String[11];
      fields[0] = "STEP";
      fields[1] = id;
      fields[2] = entry;
      fields[3] = part == null ? "" : part;
      fields[4] = name == null ? "" : name;
      for (int at = 0; at < 6; at++) {
        fields[5 + at] = Long.toString(Math.max(0, rows[at]));
      }
      say(fields);
    }

    /** How far it is now. */
    synchronized void live(Look look) {
      for (Map.Entry<String, long[]> one : over ? Collections.<String, long[]>emptyMap().entrySet() : look.steps.entrySet()) {
        StringBuilder line = new StringBuilder("LIVE\t").append(id).append('\t').append(one.getKey());
        for (long rows : one.getValue()) {
          line.append('\t').append(rows);
        }
        sayLine(line.append('\n').toString());
      }
    }

    private synchronized void end(End end) {
      over = true;
      String text = end.text == null ? "" : end.text;
      say("END", id, end.word.name(), Long.toString(end.errors), text.length() > TEXT_MAX ? text.substring(0, TEXT_MAX) : text);
    }
  }

  /** Between an entry and one of the job that it runs. */
  private static final String WITHIN = " \u203a ";
  private static final int NAME_MAX = 64;

  private static final int LINE_MAX = 16 * 1024;
  private static final int STEPS_MAX = 400;
  private static final int LOOK_MS = 5_000;
  private static final int TEXT_MAX = 2 * 1024;
  private static final Map<String, Run> RUNS = new ConcurrentHashMap<>();
  private static Writer out;
  private static Engine engine;

  /** A path of entries, below one more: as a log's reader makes it. */
  public static String below(String name, String path) {
    String own = name == null ? "" : name.replace(WITHIN.trim(), ">");
    if (own.codePointCount(0, own.length()) > NAME_MAX) {
      own = own.substring(0, own.offsetByCodePoints(0, NAME_MAX));
    }
    return path.isEmpty() ? own : own + WITHIN + path;
  }

  private static String escaped(String field) {
    return field.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r");
  }

  private static String plain(String field) {
    StringBuilder text = new StringBuilder();
    for (int at = 0; at < field.length(); at++) {
      char c = field.charAt(at);
      if (c != '\\' || at + 1 == field.length()) {
        text.append(c);
        continue;
      }
      char next = field.charAt(++at);
      text.append(next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : next);
    }
    return text.toString();
  }

  private static void say(String... fields) {
    StringBuilder line = new StringBuilder();
    for (String field : fields) {
      line.append(line.length() == 0 ? "" : "\t").append(escaped(field));
    }
    sayLine(line.append('\n').toString());
  }

  private static void sayLine(String line) {
    synchronized (RUNS) {
      try {
        out.write(line);
        out.flush();
      } catch (java.io.IOException gone) {
        // Nobody hears us any more.
        Runtime.getRuntime().halt(1);
      }
    }
  }

  /** All that is known of why, the cause of causes last. */
  public static String words(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable cause = error; cause != null && text.length() < TEXT_MAX; cause = cause.getCause()) {
      String message = cause.getMessage() == null ? cause.getClass().getName() : cause.getMessage().trim();
      if (text.indexOf(message) < 0) {
        text.append(text.length() == 0 ? "" : "; ").append(message.replaceAll("\\s+", " "));
      }
    }
    return text.toString();
  }

  private static void begin(Run run) {
    End end;
    try {
      end = engine.run(run);
    } catch (OutOfMemoryError error) {
      // What else has none left is not known: whoever runs here is told, and there is another JVM.
      Runtime.getRuntime().halt(3);
      return;
    } catch (Throwable error) {
      end = new End(run.stopped ? Word.STOPPED : Word.LOAD, 1, words(error));
    }
    RUNS.remove(run.id);
    run.end(end);
  }

  private static void stop(Run run) {
    run.stopped = true;
    if (run.handle == null) {
      return;
    }
    try {
      engine.stop(run);
    } catch (Exception error) {
      run.log("it could not be told to end: " + words(error));
    }
  }

  /** A long run that says nothing is seen all the same. */
  private static void watch() {
    while (true) {
      try {
        Thread.sleep(LOOK_MS);
        for (Run run : RUNS.values()) {
          Look look = new Look();
          engine.look(run, look);
          run.live(look);
        }
      } catch (InterruptedException end) {
        return;
      } catch (Exception error) {
        // It was being made, or it had just ended: there is another look.
      }
    }
  }

  public static void main(String[] args) throws Exception {
    long began = System.nanoTime();
    out = new OutputStreamWriter(new FileOutputStream(FileDescriptor.out), StandardCharsets.UTF_8);
    // Standard output is ours alone. An engine remembers the first that it sees.
    System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.err), true));
    BufferedReader in = new BufferedReader(new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8));
    System.setIn(new java.io.ByteArrayInputStream(new byte[0]));
    engine = (Engine) Class.forName(args[0]).getDeclaredConstructor().newInstance();
    engine.load();
    say("READY", Long.toString((System.nanoTime() - began) / 1_000_000));
    Thread watching = new Thread(Warm::watch, "watch");
    watching.setDaemon(true);
    watching.start();
    ExecutorService pool = Executors.newCachedThreadPool();
    ExecutorService stops = Executors.newCachedThreadPool();
    for (String line; (line = in.readLine()) != null && !line.equals("QUIT"); ) {
      String[] fields = line.split("\t", -1);
      for (int at = 0; at < fields.length; at++) {
        fields[at] = plain(fields[at]);
      }
      if (fields[0].equals("RUN") && fields.length >= 8) {
        Run run = new Run(fields);
        RUNS.put(run.id, run);
        pool.submit(() -> begin(run));
      } else if (fields[0].equals("STOP") && fields.length == 2) {
        Run run = RUNS.get(fields[1]);
        if (run != null) {
          stops.submit(() -> stop(run));
        }
      }
    }
    Runtime.getRuntime().exit(0);
  }
}
