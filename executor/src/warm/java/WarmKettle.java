import java.util.Arrays;
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
import org.pentaho.di.job.Job;
import org.pentaho.di.job.JobEntryListener;
import org.pentaho.di.job.JobMeta;
import org.pentaho.di.job.entries.trans.JobEntryTrans;
import org.pentaho.di.job.entry.JobEntryCopy;
import org.pentaho.di.job.entry.JobEntryInterface;
import org.pentaho.di.trans.Trans;
import org.pentaho.di.trans.TransMeta;
import org.pentaho.di.trans.step.StepInterface;
import org.pentaho.di.trans.step.StepMetaDataCombi;

/** Kettle 7.1 to 9.x: jobs and transformations from files. */
public final class WarmKettle implements Warm.Engine {
  private static final int DEEP_MAX = 50;
  private static final int LINES_MAX = 5_000;
  private static final int MINUTES_MAX = 60;
  /** Runs by log channel: their roots, and what was found to be below them. */
  private final Map<String, Warm.Run> channels = new ConcurrentHashMap<>();

  @Override
  public void load() throws Exception {
    KettleLogStore.init(LINES_MAX, MINUTES_MAX, false, false);
    KettleEnvironment.init();
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
      return run.file.endsWith(".kjb") ? job(run, level, parent) : transformation(run, level, parent);
    } finally {
      forget(run, parent);
    }
  }

  private Warm.End job(Warm.Run run, LogLevel level, SimpleLoggingObject parent) throws Exception {
    JobMeta meta = new JobMeta(run.file, null);
    // A job copies the parameters of its meta once more when it runs.
    parameters(run, meta);
    Job job = new Job(null, meta, parent);
    job.setLogLevel(level);
    job.initializeVariablesFrom(null);
    meta.setInternalKettleVariables(job);
    job.copyParametersFrom(meta);
    job.activateParameters();
    job.addJobEntryListener(new Steps(run));
    channels.put(job.getLogChannelId(), run);
    run.handle = job;
    if (run.stopped) {
      return new Warm.End(Warm.Word.STOPPED, 0, "");
    }
    job.start();
    job.waitUntilFinished();
    Result result = job.getResult();
    boolean well = result.getResult() && result.getNrErrors() == 0;
    return new Warm.End(run.stopped ? Warm.Word.STOPPED : well ? Warm.Word.OK : Warm.Word.ERROR, result.getNrErrors(), "");
  }

  private Warm.End transformation(Warm.Run run, LogLevel level, SimpleLoggingObject parent) throws Exception {
    TransMeta meta = new TransMeta(run.file);
    parameters(run, meta);
    Trans trans = new Trans(meta, parent);
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
      if (run.stopped) {
        trans.stopAll();
      }
      trans.waitUntilFinished();
      steps(run, trans);
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

  private static void steps(Warm.Run run, Trans trans) {
    List<StepMetaDataCombi> all = trans.getSteps();
    if (all == null) {
      return;
    }
    for (StepMetaDataCombi one : all) {
      StepInterface step = one.step;
      run.step(trans.getName(), one.stepname, step.getLinesInput(), step.getLinesOutput(), step.getLinesRead(),
          step.getLinesWritten(), step.getLinesUpdated(), step.getErrors() + step.getLinesRejected());
    }
  }

  /** The result of a job holds no counts: its transformations are asked when their entries end. */
  private static final class Steps implements JobEntryListener {
    private final Warm.Run run;

    Steps(Warm.Run run) {
      this.run = run;
    }

    @Override
    public void beforeExecution(Job job, JobEntryCopy copy, JobEntryInterface entry) {}

    @Override
    public void afterExecution(Job job, JobEntryCopy copy, JobEntryInterface entry, Result result) {
      if (entry instanceof JobEntryTrans && ((JobEntryTrans) entry).getTrans() != null) {
        steps(run, ((JobEntryTrans) entry).getTrans());
      }
    }
  }

  @Override
  public void stop(Warm.Run run) {
    if (run.handle instanceof Trans) {
      ((Trans) run.handle).stopAll();
    } else if (run.handle instanceof Job) {
      ((Job) run.handle).stopAll();
    }
  }

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
