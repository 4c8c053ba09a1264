import java.util.Arrays;
import java.util.ConcurrentModificationException;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.pentaho.di.core.KettleEnvironment;
import org.pentaho.di.core.Result;
import org.pentaho.di.core.logging.KettleLogLayout;
import org.pentaho.di.core.logging.KettleLogStore;
import org.pentaho.di.core.logging.LogLevel;
import org.pentaho.di.core.logging.LogMessage;
import org.pentaho.di.core.logging.LoggingObjectInterface;
import org.pentaho.di.core.logging.LoggingObjectType;
import org.pentaho.di.core.logging.LoggingRegistry;
import org.pentaho.di.core.logging.SimpleLoggingObject;
import org.pentaho.di.core.parameters.NamedParams;
import org.pentaho.di.job.DelegationListener;
import org.pentaho.di.job.Job;
import org.pentaho.di.job.JobExecutionConfiguration;
import org.pentaho.di.job.JobMeta;
import org.pentaho.di.metastore.MetaStoreConst;
import org.pentaho.di.trans.Trans;
import org.pentaho.di.trans.TransAdapter;
import org.pentaho.di.trans.TransExecutionConfiguration;
import org.pentaho.di.trans.TransMeta;
import org.pentaho.di.trans.step.StepInterface;
import org.pentaho.di.trans.step.StepMetaDataCombi;
import org.pentaho.metastore.api.IMetaStore;

/** Kettle 7.1 to 9.x: jobs and transformations from files, begun as its own Kitchen and Pan begin them. */
public final class WarmKettle implements Warm.Engine {
  private static final int DEEP_MAX = 50;
  private static final int LINES_MAX = 5_000;
  private static final int MINUTES_MAX = 60;
  private static final int LOOK_MS = 50;
  /** Runs by the log channel of what they have begun. */
  private final Map<String, Warm.Run> channels = new ConcurrentHashMap<>();
  /** Of the user's home, as of Kitchen: run configurations and named connections are looked for there. */
  private IMetaStore metaStore;

  @Override
  public void load() throws Exception {
    KettleLogStore.init(LINES_MAX, MINUTES_MAX, false, false);
    KettleEnvironment.init();
    // Once more: kettle.properties may have lifted the limits.
    KettleLogStore.init(LINES_MAX, MINUTES_MAX, false, false);
    try {
      metaStore = MetaStoreConst.openLocalPentahoMetaStore();
    } catch (Exception error) {
      System.out.println("without a metastore: " + Warm.words(error));
    }
    KettleLogLayout layout = new KettleLogLayout(true);
    KettleLogStore.getAppender().addLoggingEventListener(event -> {
      if (event.getMessage() instanceof LogMessage) {
        Warm.Run run = owner(((LogMessage) event.getMessage()).getLogChannelId());
        if (run != null) {
          run.log(layout.format(event));
        }
      }
    });
  }

  private Warm.Run owner(String channel) {
    if (channel == null) {
      return null;
    }
    Warm.Run run = channels.get(channel);
    LoggingObjectInterface object = LoggingRegistry.getInstance().getLoggingObject(channel);
    for (int deep = 0; run == null && object != null && deep < DEEP_MAX; deep++, object = object.getParent()) {
      run = object.getLogChannelId() == null ? null : channels.get(object.getLogChannelId());
    }
    return run;
  }

  /**
   * Kettle gives two live objects of one name and file the same log channel, unless they have parents with container ids of
   * their own: then the lines of parallel runs of a file would be mixed.
   */
  private static SimpleLoggingObject family(Warm.Run run) {
    SimpleLoggingObject parent = new SimpleLoggingObject("run " + run.id, LoggingObjectType.CARTE, null);
    parent.setContainerObjectId(UUID.randomUUID().toString());
    return parent;
  }

  @Override
  public Warm.End run(Warm.Run run) throws Exception {
    LogLevel level = LogLevel.valueOf(run.level.toUpperCase(Locale.ROOT));
    SimpleLoggingObject parent = family(run);
    try {
      return run.job ? job(run, level, parent) : transformation(run, level, parent);
    } finally {
      forget(run, parent);
    }
  }

  private Warm.End job(Warm.Run run, LogLevel level, SimpleLoggingObject parent) throws Exception {
    JobMeta meta = new JobMeta(run.file, null);
    meta.setMetaStore(metaStore);
    // A job copies the parameters of its meta once more when it runs.
    parameters(run, meta);
    Job job = new Job(null, meta, parent);
    job.setLogLevel(level);
    job.initializeVariablesFrom(null);
    meta.setInternalKettleVariables(job);
    job.copyParametersFrom(meta);
    job.activateParameters();
    channels.put(job.getLogChannelId(), run);
    Working working = new Working(run, job);
    job.addDelegationListener(working);
    run.handle = working;
    if (run.stopped) {
      return new Warm.End(Warm.Word.STOPPED, 0, "");
    }
    working.work();
    Result result = job.getResult();
    boolean well = result.getResult() && result.getNrErrors() == 0;
    return new Warm.End(run.stopped ? Warm.Word.STOPPED : well ? Warm.Word.OK : Warm.Word.ERROR, result.getNrErrors(), "");
  }

  private Warm.End transformation(Warm.Run run, LogLevel level, SimpleLoggingObject parent) throws Exception {
    TransMeta meta = new TransMeta(run.file);
    meta.setMetaStore(metaStore);
    parameters(run, meta);
    Trans trans = new Trans(meta, parent);
    trans.setMetaStore(metaStore);
    trans.setLogLevel(level);
    trans.initializeVariablesFrom(null);
    meta.setInternalKettleVariables(trans);
    trans.copyParametersFrom(meta);
    trans.activateParameters();
    channels.put(trans.getLogChannelId(), run);
    run.handle = trans;
    try {
      trans.prepareExecution(null);
    } catch (Exception error) {
      return new Warm.End(run.stopped ? Warm.Word.STOPPED : Warm.Word.INIT, 1, Warm.words(error));
    }
    try {
      trans.startThreads();
      // It begins by forgetting that it was stopped.
      if (run.stopped) {
        halt(trans);
      }
      trans.waitUntilFinished();
      steps(run::step, "", trans);
      long errors = trans.getErrors();
      return new Warm.End(run.stopped ? Warm.Word.STOPPED : errors == 0 ? Warm.Word.OK : Warm.Word.ERROR, errors, "");
    } finally {
      trans.cleanup();
    }
  }

  private static void parameters(Warm.Run run, NamedParams named) throws Exception {
    Set<String> known = new HashSet<>(Arrays.asList(named.listParameters()));
    for (Map.Entry<String, String> one : run.params.entrySet()) {
      if (known.contains(one.getKey())) {
        named.setParameterValue(one.getKey(), one.getValue());
      }
    }
  }

  private interface Told {
    void step(String entry, String part, String name, long... rows);
  }

  private static void steps(Told told, String entry, Trans trans) {
    List<StepMetaDataCombi> all = trans.getSteps();
    if (all == null) {
      return;
    }
    for (StepMetaDataCombi one : all) {
      StepInterface step = one.step;
      told.step(entry, trans.getName(), one.stepname, step.getLinesInput(), step.getLinesOutput(), step.getLinesRead(),
          step.getLinesWritten(), step.getLinesUpdated(), step.getErrors() + step.getLinesRejected());
    }
  }

  @Override
  public void look(Warm.Run run, Warm.Look look) {
    if (run.handle instanceof Trans) {
      steps(look::step, "", (Trans) run.handle);
    } else if (run.handle instanceof Working) {
      ((Working) run.handle).live.forEach((one, entry) -> steps(look::step, entry, one));
    }
  }

  private static void halt(Trans trans) {
    try {
      trans.stopAll();
    } catch (ConcurrentModificationException preparing) {
      // Its steps are being made: who prepares it looks again once they are.
    }
  }

  /**
   * A job at work. Its result holds no counts, and an entry knows no more than its last transformation: so each that is
   * begun in it, or in jobs within it, tells its own when it ends.
   */
  private static final class Working implements DelegationListener {
    private final Warm.Run run;
    private final Job job;
    /** With the entries that lead to each. */
    private final Map<Trans, String> live = new ConcurrentHashMap<>();

    Working(Warm.Run run, Job job) {
      this.run = run;
      this.job = job;
    }

    /** A job that starts forgets that it was stopped, and so does each of its transformations: they are told again. */
    void work() throws InterruptedException {
      job.start();
      do {
        job.join(LOOK_MS);
        if (run.stopped) {
          stop();
        }
      } while (job.isAlive());
    }

    void stop() {
      if (!job.isStopped()) {
        job.stopAll();
      }
      for (Trans one : live.keySet()) {
        if (!one.isStopped()) {
          halt(one);
        }
      }
    }

    /** An entry is the parent of what it begins; its own is its job. */
    private static String entry(Trans begun) {
      String path = "";
      LoggingObjectInterface object = begun.getParent();
      for (int deep = 0; object != null && deep < DEEP_MAX; deep++, object = object.getParent()) {
        if (object.getObjectType() == LoggingObjectType.JOBENTRY) {
          path = Warm.below(object.getObjectName(), path);
        }
      }
      return path;
    }

    @Override
    public void jobDelegationStarted(Job within, JobExecutionConfiguration how) {
      within.addDelegationListener(this);
    }

    @Override
    public void transformationDelegationStarted(Trans within, TransExecutionConfiguration how) {
      String entry = entry(within);
      live.put(within, entry);
      within.addTransListener(new TransAdapter() {
        @Override
        public void transFinished(Trans ended) {
          if (live.remove(within) != null) {
            steps(run::step, entry, within);
          }
        }
      });
    }
  }

  @Override
  public void stop(Warm.Run run) {
    if (run.handle instanceof Trans) {
      halt((Trans) run.handle);
    } else if (run.handle instanceof Working) {
      ((Working) run.handle).stop();
    }
  }

  /** Else registry and log buffer grow for ever. */
  private void forget(Warm.Run run, SimpleLoggingObject parent) {
    LoggingRegistry registry = LoggingRegistry.getInstance();
    for (Map.Entry<String, Warm.Run> one : channels.entrySet()) {
      if (one.getValue() == run) {
        KettleLogStore.discardLines(one.getKey(), true);
        registry.removeIncludingChildren(one.getKey());
        channels.remove(one.getKey());
      }
    }
    registry.getMap().values().removeIf(object -> parent.getContainerObjectId().equals(object.getContainerObjectId()));
  }
}
