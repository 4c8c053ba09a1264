import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hop.core.HopEnvironment;
import org.apache.hop.core.config.plugin.ConfigPluginType;
import org.apache.hop.core.config.plugin.IConfigOptions;
import org.apache.hop.core.extension.ExtensionPointMap;
import org.apache.hop.core.extension.ExtensionPointPluginType;
import org.apache.hop.core.extension.HopExtensionPoint;
import org.apache.hop.core.extension.IExtensionPoint;
import org.apache.hop.core.logging.ILogChannel;
import org.apache.hop.core.logging.HopLogLayout;
import org.apache.hop.core.logging.HopLogStore;
import org.apache.hop.core.logging.ILoggingObject;
import org.apache.hop.core.logging.LogChannel;
import org.apache.hop.core.logging.LogLevel;
import org.apache.hop.core.logging.LogMessage;
import org.apache.hop.core.logging.LoggingObjectType;
import org.apache.hop.core.logging.LoggingRegistry;
import org.apache.hop.core.logging.SimpleLoggingObject;
import org.apache.hop.core.parameters.INamedParameters;
import org.apache.hop.core.plugins.IPlugin;
import org.apache.hop.core.plugins.Plugin;
import org.apache.hop.core.plugins.PluginRegistry;
import org.apache.hop.core.variables.IVariables;
import org.apache.hop.core.variables.Variables;
import org.apache.hop.metadata.api.IHasHopMetadataProvider;
import org.apache.hop.metadata.serializer.multi.MultiMetadataProvider;
import org.apache.hop.metadata.util.HopMetadataInstance;
import org.apache.hop.metadata.util.HopMetadataUtil;
import org.apache.hop.pipeline.Pipeline;
import org.apache.hop.pipeline.PipelineMeta;
import org.apache.hop.pipeline.config.PipelineRunConfiguration;
import org.apache.hop.pipeline.engine.IEngineComponent;
import org.apache.hop.pipeline.engine.IPipelineEngine;
import org.apache.hop.pipeline.engine.PipelineEngineFactory;
import org.apache.hop.workflow.WorkflowMeta;
import org.apache.hop.workflow.config.WorkflowRunConfiguration;
import org.apache.hop.workflow.engine.IWorkflowEngine;
import org.apache.hop.workflow.engine.WorkflowEngineFactory;

/** Apache Hop, as its own HopRun begins a run: each has variables, metadata and a project of its own. */
public final class WarmHop implements Warm.Engine {
  private static final int DEEP_MAX = 50;
  private static final HopLogLayout LAYOUT = new HopLogLayout(true);
  /** Runs by the container id of their log channels. */
  private final Map<String, Warm.Run> runs = new ConcurrentHashMap<>();
  private final Map<String, Within> within = new ConcurrentHashMap<>();
  private final Object enabling = new Object();
  /** Hop makes what it calls by itself. */
  private static volatile WarmHop loaded;

  /** What belongs to one run. */
  private static final class Space implements IHasHopMetadataProvider {
    final IVariables variables = Variables.getADefaultVariableSpace();
    private MultiMetadataProvider metadata = HopMetadataUtil.getStandardHopMetadataProvider(variables);

    @Override
    public MultiMetadataProvider getMetadataProvider() {
      return metadata;
    }

    @Override
    public void setMetadataProvider(MultiMetadataProvider metadata) {
      this.metadata = metadata;
    }
  }

  @Override
  public void load() throws Exception {
    HopEnvironment.init();
    HopLogStore.init();
    loaded = this;
    heed();
    HopMetadataInstance.setMetadataProvider(HopMetadataUtil.getStandardHopMetadataProvider(Variables.getADefaultVariableSpace()));
    HopLogStore.getAppender().addLoggingEventListener(event -> {
      if (event.getMessage() instanceof LogMessage) {
        String channel = ((LogMessage) event.getMessage()).getLogChannelId();
        Warm.Run run = owner(LoggingRegistry.getInstance().getLoggingObject(channel));
        if (run != null) {
          run.log(LAYOUT.format(event));
        }
      }
    });
  }

  /** That Hop tells us of each pipeline that begins. */
  private static void heed() throws Exception {
    Map<Class<?>, String> classes = Collections.singletonMap(IExtensionPoint.class, Begun.class.getName());
    // Its name is that of the point at which it is called.
    IPlugin plugin = new Plugin(new String[] {"hcndc-begun"}, ExtensionPointPluginType.class, IExtensionPoint.class, null,
        HopExtensionPoint.PipelineStartThreads.id, "tells of pipelines that begin", null, false, true, classes,
        new ArrayList<>(), null, new String[0], null, false);
    PluginRegistry.getInstance().registerPlugin(ExtensionPointPluginType.class, plugin);
    ExtensionPointMap.getInstance().reInitialize();
  }

  /** What a pipeline says when its threads are started. What goes wrong here is no matter of its. */
  public static final class Begun implements IExtensionPoint<Pipeline> {
    @Override
    public void callExtensionPoint(ILogChannel log, IVariables variables, Pipeline pipeline) {
      try {
        Warm.Run run = loaded.owner(pipeline);
        Within within = run == null ? null : loaded.within.get(run.id);
        if (within != null && run.handle != pipeline) {
          within.begun(pipeline);
        }
      } catch (RuntimeException error) {
        System.out.println("rows of " + pipeline.getObjectName() + " are not told: " + Warm.words(error));
      }
    }
  }

  /** Pipelines that are begun within a run, by actions or by steps: each tells its own rows when it ends. */
  private static final class Within {
    private final Warm.Run run;
    /** With the actions that lead to each. */
    private final Map<Pipeline, String> live = new ConcurrentHashMap<>();

    Within(Warm.Run run) {
      this.run = run;
    }

    void begun(Pipeline pipeline) {
      live.put(pipeline, actions(pipeline.getParent()));
      pipeline.addExecutionFinishedListener(ended -> ended(pipeline));
    }

    /** Who has waited for its end may be told of that before we are: it is told once. */
    synchronized void ended(Pipeline pipeline) {
      String actions = live.remove(pipeline);
      if (actions == null) {
        return;
      }
      try {
        steps(run::step, actions, pipeline.getPipelineMeta().getName(), pipeline);
      } catch (RuntimeException error) {
        run.log("rows of " + pipeline.getObjectName() + " are not told: " + Warm.words(error));
      }
    }

    /** The run is over; what it did not wait for goes on. */
    void over() {
      Warm.Look look = new Warm.Look();
      for (Pipeline pipeline : live.keySet()) {
        if (pipeline.isFinished()) {
          ended(pipeline);
        }
      }
      look(look);
      run.live(look);
    }

    synchronized void look(Warm.Look look) {
      live.forEach((one, actions) -> steps(look::step, actions, one.getPipelineMeta().getName(), one));
    }

    /** An action's parent is its workflow, and that of a workflow the action that has begun it. */
    private static String actions(ILoggingObject object) {
      String path = "";
      for (int deep = 0; object != null && deep < DEEP_MAX; deep++, object = object.getParent()) {
        if (object.getObjectType() == LoggingObjectType.ACTION) {
          path = Warm.below(object.getObjectName(), path);
        }
      }
      return path;
    }
  }

  /**
   * The run that a line is of: the first known container id on the way up. Without one of its own for each run, two runs of
   * one file would share a log channel.
   */
  private Warm.Run owner(ILoggingObject object) {
    for (int deep = 0; object != null && deep < DEEP_MAX; deep++, object = object.getParent()) {
      Warm.Run run = object.getContainerId() == null ? null : runs.get(object.getContainerId());
      if (run != null) {
        return run;
      }
    }
    return null;
  }

  @Override
  public Warm.End run(Warm.Run run) throws Exception {
    LogLevel level = LogLevel.valueOf(run.level.toUpperCase(java.util.Locale.ROOT));
    SimpleLoggingObject parent = new SimpleLoggingObject("run " + run.id, LoggingObjectType.HOP_SERVER, null);
    parent.setContainerObjectId("hcndc-" + run.id);
    parent.setLogLevel(level);
    runs.put(parent.getContainerId(), run);
    within.put(run.id, new Within(run));
    try {
      Space space = new Space();
      LogChannel log = new LogChannel("HopRun", parent);
      log.setLogLevel(level);
      enable(run, space, log);
      String file = space.variables.resolve(run.file);
      Warm.End end = file.endsWith(".hwf") ? workflow(run, space, file, parent) : pipeline(run, space, file, parent);
      within.get(run.id).over();
      return end;
    } finally {
      within.remove(run.id);
      forget(run);
      runs.remove(parent.getContainerId());
    }
  }

  /** Project and lifecycle environment, by the plug-in that HopRun asks. It keeps static state: one after the other. */
  private void enable(Warm.Run run, Space space, LogChannel log) throws Exception {
    boolean known = run.project.isEmpty() && run.lifecycle.isEmpty();
    synchronized (enabling) {
      PluginRegistry registry = PluginRegistry.getInstance();
      for (IPlugin plugin : registry.getPlugins(ConfigPluginType.class)) {
        if (!"run".equals(plugin.getCategory())) {
          continue;
        }
        IConfigOptions options = registry.loadClass(plugin, IConfigOptions.class);
        known |= set(options, "projectOption", run.project) && set(options, "environmentOption", run.lifecycle);
        options.handleOption(log, space, space.variables);
      }
    }
    if (!known) {
      throw new IllegalStateException("no plug-in of this Hop knows projects: plugins/misc/projects is not there");
    }
  }

  private static boolean set(Object options, String name, String value) throws IllegalAccessException {
    for (Class<?> type = options.getClass(); type != null; type = type.getSuperclass()) {
      for (Field field : type.getDeclaredFields()) {
        if (field.getName().equals(name)) {
          field.setAccessible(true);
          field.set(options, value.isEmpty() ? null : value);
          return true;
        }
      }
    }
    return false;
  }

  private Warm.End pipeline(Warm.Run run, Space space, String file, SimpleLoggingObject parent) throws Exception {
    IVariables variables = space.variables;
    PipelineMeta meta = new PipelineMeta(file, space.metadata, variables);
    String configuration = run.configuration;
    if (configuration.isEmpty()) {
      PipelineRunConfiguration usual = PipelineRunConfiguration.findDefault(space.metadata);
      configuration = usual == null ? "" : usual.getName();
    }
    IPipelineEngine<PipelineMeta> engine =
        PipelineEngineFactory.createPipelineEngine(variables, variables.resolve(configuration), space.metadata, meta);
    engine.setParent(parent);
    engine.getPipelineMeta().setInternalHopVariables(engine);
    engine.initializeFrom(variables);
    engine.copyParametersFromDefinitions(meta);
    parameters(run, engine, engine);
    engine.setLogLevel(parent.getLogLevel());
    engine.setMetadataProvider(space.metadata);
    run.handle = engine;
    try {
      engine.prepareExecution();
      if (run.stopped) {
        return new Warm.End(Warm.Word.STOPPED, 0, "");
      }
      engine.startThreads();
      if (run.stopped) {
        engine.stopAll();
      }
      engine.waitUntilFinished();
    } catch (Exception error) {
      return new Warm.End(run.stopped ? Warm.Word.STOPPED : Warm.Word.INIT, 1, Warm.words(error));
    }
    steps(run::step, "", meta.getName(), engine);
    long errors = engine.getResult().getNrErrors();
    // After a stop Hop itself tells of success.
    return new Warm.End(run.stopped ? Warm.Word.STOPPED : errors == 0 ? Warm.Word.OK : Warm.Word.ERROR, errors, "");
  }

  private Warm.End workflow(Warm.Run run, Space space, String file, SimpleLoggingObject parent) throws Exception {
    IVariables variables = space.variables;
    WorkflowMeta meta = new WorkflowMeta(variables, file, space.metadata);
    String configuration = run.configuration;
    if (configuration.isEmpty()) {
      WorkflowRunConfiguration usual = WorkflowRunConfiguration.findDefault(space.metadata);
      configuration = usual == null ? "" : usual.getName();
    }
    IWorkflowEngine<WorkflowMeta> engine =
        WorkflowEngineFactory.createWorkflowEngine(variables, variables.resolve(configuration), space.metadata, meta, parent);
    engine.getWorkflowMeta().setInternalHopVariables(engine);
    engine.copyParametersFromDefinitions(meta);
    parameters(run, engine, engine);
    engine.setLogLevel(parent.getLogLevel());
    run.handle = engine;
    if (run.stopped) {
      return new Warm.End(Warm.Word.STOPPED, 0, "");
    }
    engine.startExecution();
    long errors = engine.getResult().getNrErrors();
    boolean well = engine.getResult().getResult();
    return new Warm.End(run.stopped ? Warm.Word.STOPPED : well ? Warm.Word.OK : Warm.Word.ERROR, errors, "");
  }

  private static void parameters(Warm.Run run, INamedParameters named, IVariables variables) throws Exception {
    Set<String> known = new HashSet<>(Arrays.asList(named.listParameters()));
    for (Map.Entry<String, String> one : run.params.entrySet()) {
      if (known.contains(one.getKey())) {
        named.setParameterValue(one.getKey(), one.getValue());
      } else {
        variables.setVariable(one.getKey(), one.getValue());
      }
    }
    named.activateParameters(variables);
  }

  private interface Told {
    void step(String actions, String part, String name, long... rows);
  }

  private static void steps(Told told, String actions, String part, IPipelineEngine<?> engine) {
    for (IEngineComponent one : engine.getComponents()) {
      told.step(actions, part, one.getName(), one.getLinesInput(), one.getLinesOutput(), one.getLinesRead(), one.getLinesWritten(),
          one.getLinesUpdated(), one.getErrors() + one.getLinesRejected());
    }
  }

  @Override
  public void look(Warm.Run run, Warm.Look look) {
    if (run.handle instanceof IPipelineEngine) {
      IPipelineEngine<?> engine = (IPipelineEngine<?>) run.handle;
      steps(look::step, "", engine.getPipelineMeta().getName(), engine);
    }
    Within begun = within.get(run.id);
    if (begun != null) {
      begun.look(look);
    }
  }

  @Override
  public void stop(Warm.Run run) {
    if (run.handle instanceof IPipelineEngine) {
      ((IPipelineEngine<?>) run.handle).stopAll();
    } else if (run.handle instanceof IWorkflowEngine) {
      ((IWorkflowEngine<?>) run.handle).stopExecution();
    }
  }

  /** Else registry and log buffer grow for ever. */
  private void forget(Warm.Run run) {
    LoggingRegistry registry = LoggingRegistry.getInstance();
    for (Map.Entry<String, ILoggingObject> one : new ArrayList<>(registry.getMap().entrySet())) {
      if (owner(one.getValue()) == run) {
        HopLogStore.discardLines(one.getKey(), false);
        registry.removeIncludingChildren(one.getKey());
      }
    }
  }
}
